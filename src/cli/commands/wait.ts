import { Option } from "commander";
import type { Command } from "commander";
import { ContainerSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import type { WaitContainerResponse } from "../../gen/fairlead/container/v1/container_wait_pb.js";
import { WaitCondition } from "../../gen/fairlead/container/v1/container_wait_pb.js";
import { parseContainer } from "../grammar/container-reference.ts";
import { addLookOptions, type LookOptions, timeoutPart } from "../look-options.ts";
import { clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { messageToJson } from "../output/json.ts";
import { settleInOrder } from "../settle-in-order.ts";

const conditions = {
  "not-running": WaitCondition.NOT_RUNNING,
  "next-exit": WaitCondition.NEXT_EXIT,
  removed: WaitCondition.REMOVED,
} as const;

interface WaitOptions extends LookOptions {
  readonly condition: keyof typeof conditions;
}

/** `fairlead wait`: the exit codes of containers, one a line and in the order in which they were named, as docker prints them. */
export function addWaitCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("wait")
    .summary("wait until containers end, and print their exit codes")
    .argument("<container...>", "NAME, ID or HOST/NAME")
    .addOption(
      new Option("--condition <condition>", "what to wait for")
        .choices(Object.keys(conditions))
        .default("not-running"),
    );
  addLookOptions(command, "24h").action(clientAction<WaitOptions>(line, waitForAll));
}

async function waitForAll(
  invocation: Invocation,
  options: WaitOptions,
  names: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const wanted = { condition: conditions[options.condition], ...timeoutPart(options) };
  const targets = names.map((name) => ({ ...parseContainer(name, options.host), ...wanted }));
  const ends = await settleInOrder(
    targets,
    (target) => client.containers.waitContainer(target, call),
    {
      onAnswer: ({ exit }) => {
        if (!invocation.json) invocation.print(`${exit?.exitCode ?? 0}\n`);
      },
      onFailure: (error, index) => invocation.fail(error, names.length > 1 ? names[index] : undefined),
    },
    targets.length,
  );
  if (invocation.json) {
    invocation.printJson(ends.map(endToJson));
  }
}

function endToJson({ exit, container }: WaitContainerResponse) {
  const seen = container && messageToJson(ContainerSchema, container);
  return { container: seen, exitCode: exit?.exitCode ?? 0, message: exit?.message ?? "" };
}
