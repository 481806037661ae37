import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { addContainerAction } from "../container-action.ts";
import type { ActionOptions } from "../container-action.ts";
import { wholeNumber } from "../grammar/number.ts";
import type { CommandLine } from "../invocation.ts";

interface GraceOptions extends ActionOptions {
  /** Seconds. */
  readonly time?: number;
}

interface KillOptions extends ActionOptions {
  readonly signal?: string;
}

interface RemoveOptions extends ActionOptions {
  readonly force?: boolean;
  readonly volumes?: boolean;
}

const longestGraceS = 3_600;

/** `fairlead start`. */
export function addStartCommand(parent: Command, line: CommandLine): void {
  const command = parent.command("start").summary("start containers");
  addContainerAction(line, command, ({ client, call }, target) =>
    client.containers.startContainer(target, call),
  );
}

/** `fairlead stop`. */
export function addStopCommand(parent: Command, line: CommandLine): void {
  const command = withGrace(parent.command("stop").summary("stop containers")).addHelpText(
    "after",
    `
Examples:
  fairlead stop web             wherever in the fleet "web" is
  fairlead stop web-1/web       on the host "web-1"
  fairlead stop -t 60 db cache  with a minute to end by themselves
`,
  );
  addContainerAction<GraceOptions>(line, command, ({ client, call }, target, options) =>
    client.containers.stopContainer({ ...target, ...gracePart(options) }, call),
  );
}

/** `fairlead restart`. */
export function addRestartCommand(parent: Command, line: CommandLine): void {
  const command = withGrace(parent.command("restart").summary("stop containers and start them again"));
  addContainerAction<GraceOptions>(line, command, ({ client, call }, target, options) =>
    client.containers.restartContainer({ ...target, ...gracePart(options) }, call),
  );
}

/** `fairlead kill`. */
export function addKillCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("kill")
    .summary("send a signal to containers")
    .option("-s, --signal <signal>", "which one (default KILL)");
  addContainerAction<KillOptions>(line, command, ({ client, call }, target, { signal = "" }) =>
    client.containers.killContainer({ ...target, signal }, call),
  );
}

/** `fairlead pause`. */
export function addPauseCommand(parent: Command, line: CommandLine): void {
  const command = parent.command("pause").summary("freeze the processes of containers");
  addContainerAction(line, command, ({ client, call }, target) =>
    client.containers.pauseContainer(target, call),
  );
}

/** `fairlead unpause`. */
export function addUnpauseCommand(parent: Command, line: CommandLine): void {
  const command = parent.command("unpause").summary("let paused containers go on");
  addContainerAction(line, command, ({ client, call }, target) =>
    client.containers.unpauseContainer(target, call),
  );
}

/** `fairlead rm`. */
export function addRmCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("rm")
    .summary("remove containers")
    .option("-f, --force", "kill those that run first")
    .option("-v, --volumes", "remove their anonymous volumes too");
  addContainerAction<RemoveOptions>(line, command, ({ client, call }, target, options) =>
    client.containers.removeContainer(
      { ...target, force: options.force ?? false, removeVolumes: options.volumes ?? false },
      call,
    ),
  );
}

function withGrace(command: Command): Command {
  return command.option(
    "-t, --time <seconds>",
    "how long to wait before it is killed (default 10)",
    wholeNumber(0, longestGraceS),
  );
}

function gracePart({ time }: GraceOptions) {
  return time === undefined ? {} : { gracePeriod: durationFromMs(time * 1_000) };
}
