import type { Command } from "commander";
import { ContainerSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import { printQueued } from "../container-action.ts";
import { containerSpecFrom } from "../container-spec.ts";
import type { SpecOptions } from "../container-spec.ts";
import { addDeliveryOptions, deliveryPart } from "../delivery-options.ts";
import type { DeliveryOptions } from "../delivery-options.ts";
import { addSpecOptions } from "../spec-options.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";

interface CreateOptions extends DeliveryOptions, SpecOptions {
  readonly host?: string;
  readonly name?: string;
  readonly start?: boolean;
}

/** `fairlead create`: docker's flags, and a host to do it on. */
export function addCreateCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("create")
    .summary("create a container, and start it with --start")
    .description("Creates a container on a host that has its image, and prints its id.")
    .argument("<image>", "the image, which the host must have already")
    .argument("[command...]", "what runs in it, instead of the image's command")
    // What comes after the image belongs to the container, as with docker.
    .passThroughOptions()
    .option("--name <name>", "its name (default: the engine invents one)")
    .option("--start", "start it as well")
    .option("--host <host>", "the host, by name or id")
    .addHelpText("after", examples);
  addSpecOptions(addClientOptions(addDeliveryOptions(command)));
  command.action(clientAction<CreateOptions>(line, createContainer));
}

async function createContainer(
  invocation: Invocation,
  options: CreateOptions,
  [image = "", ...words]: readonly string[],
): Promise<void> {
  const { client, call, environment } = invocation;
  const { container, commandId, queued } = await client.containers.createContainer(
    {
      ...deliveryPart(options, environment.clock.now()),
      name: options.name ?? "",
      host: options.host ?? "",
      start: options.start ?? false,
      spec: containerSpecFrom(image, words, options, environment.env),
    },
    call,
  );
  if (invocation.json) {
    const created = container && messageToJson(ContainerSchema, container);
    invocation.printJson({ container: created, commandId, queued });
  } else if (queued) {
    printQueued(invocation, commandId);
  } else {
    invocation.print(`${escapeText(container?.id ?? "")}\n`);
  }
}

const examples = `
Examples:
  fairlead create --host web-1 --name shop --start -p 8080:80 nginx:1.27
  fairlead create --name job --rm -e MODE=once -m 256m busybox sh -c "echo \\$MODE"
  fairlead create --restart on-failure:3 -v data:/var/lib/data -l team=shop db:17
`;
