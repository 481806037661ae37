import type { Command } from "commander";
import { containerSpecFrom } from "../container-spec.ts";
import type { SpecOptions } from "../container-spec.ts";
import { addSpecOptions } from "../spec-options.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { talk } from "../talk.ts";

interface RunOptions extends SpecOptions {
  readonly host?: string;
  readonly name?: string;
  readonly detach?: boolean;
}

/** `fairlead run`: a new container, with this terminal or in the background. */
export function addRunCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("run")
    .summary("create a container and run it here, or with -d in the background")
    .description(
      "Creates a container on a host that has its image, and runs it: with its output here and its exit code, or with -d in the background, and prints its id.",
    )
    .argument("<image>", "the image, which the host must have already")
    .argument("[command...]", "what runs in it, instead of the image's command")
    // What comes after the image belongs to the container, as with docker.
    .passThroughOptions()
    .option("-d, --detach", "run it in the background, and print its id")
    .option("--name <name>", "its name (default: the engine invents one)")
    .option("--host <host>", "the host, by name or id")
    .addHelpText("after", examples);
  addSpecOptions(addClientOptions(command));
  command.action(clientAction<RunOptions>(line, runContainer));
}

async function runContainer(
  invocation: Invocation,
  options: RunOptions,
  [image = "", ...words]: readonly string[],
): Promise<void> {
  const { client, call, environment } = invocation;
  const { name = "", host = "", detach = false, tty = false, interactive = false } = options;
  const spec = containerSpecFrom(image, words, options, environment.env);
  const created = await client.containers.createContainer({ name, host, spec, start: detach }, call);
  const { id = "", host: where } = created.container ?? {};
  if (detach) {
    if (invocation.json) invocation.printJson({ id, host: where?.name, commandId: created.commandId });
    else invocation.print(`${escapeText(id)}\n`);
    return;
  }
  const target = { container: id, host: where?.id ?? "" };
  try {
    const start = () => client.containers.startContainer(target, call);
    invocation.endWith(await talk(invocation, { ...target, tty, stdin: interactive }, start));
  } catch (error) {
    await abandon(invocation, target, options.rm === true);
    throw error;
  }
}

// As with docker: who ends the line with Ctrl-C ends the container, and one that was to be removed does not stay behind.
async function abandon(
  { client, environment }: Invocation,
  target: { readonly container: string; readonly host: string },
  isRemoved: boolean,
): Promise<void> {
  const { containers } = client;
  const ended = isRemoved
    ? containers.removeContainer({ ...target, force: true })
    : environment.signal.aborted
      ? containers.killContainer({ ...target, signal: "SIGINT" })
      : Promise.resolve(undefined);
  await ended.catch(() => "it has ended already, and what went wrong before is told");
}

const examples = `
Examples:
  fairlead run --rm -it --host host-1 busybox sh         a shell in a new container
  fairlead run -d --name shop -p 8080:80 nginx:1.27      in the background
  fairlead run --rm -e MODE=once -m 256m job:3 ; echo $?  its output, and its exit code
`;
