import type { Command } from "commander";
import { ContainerSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import type { InspectContainerResponse } from "../../gen/fairlead/container/v1/container_service_pb.js";
import { parseContainer } from "../grammar/container-reference.ts";
import { addLookOptions, type LookOptions, timeoutPart } from "../look-options.ts";
import { clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { formatJson, messageToJson, parseEngineJson } from "../output/json.ts";
import { settleInOrder } from "../settle-in-order.ts";

/** `fairlead inspect`: the engine's own JSON, in an array, as docker prints it. */
export function addInspectCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("inspect")
    .summary("print everything that the engines know of containers")
    .description(
      "Prints the engines' own JSON in one array. With --json each comes beside what all engines share.",
    )
    .argument("<container...>", "NAME, ID or HOST/NAME");
  addLookOptions(command).action(clientAction<LookOptions>(line, printInspections));
}

async function printInspections(
  invocation: Invocation,
  options: LookOptions,
  names: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const targets = names.map((name) => ({
    ...parseContainer(name, options.host),
    ...timeoutPart(options),
  }));
  const failures: { readonly error: unknown; readonly index: number }[] = [];
  const found = await settleInOrder(targets, (target) => client.containers.inspectContainer(target, call), {
    onAnswer: () => undefined,
    onFailure: (error, index) => failures.push({ error, index }),
  });
  invocation.print(
    invocation.json ? formatJson(found.map(inspectionToJson)) : formatJson(found.map(engineJson), 4),
  );
  for (const { error, index } of failures) {
    invocation.fail(error, names.length > 1 ? names[index] : undefined);
  }
}

function engineJson({ engineJson: text }: InspectContainerResponse): unknown {
  return parseEngineJson(text);
}

function inspectionToJson(answer: InspectContainerResponse) {
  return {
    ...(answer.container === undefined
      ? {}
      : { container: messageToJson(ContainerSchema, answer.container) }),
    engine: parseEngineJson(answer.engineJson),
  };
}
