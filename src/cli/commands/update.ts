import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { addContainerAction } from "../container-action.ts";
import type { ActionOptions } from "../container-action.ts";
import { parseCpus, wholeNumber } from "../grammar/number.ts";
import { parseRestartPolicy } from "../grammar/restart-policy.ts";
import type { RequestedRestartPolicy } from "../grammar/restart-policy.ts";
import { parseSize } from "../grammar/size.ts";
import type { CommandLine } from "../invocation.ts";

interface UpdateOptions extends ActionOptions {
  readonly memory?: bigint;
  /** Thousandths. */
  readonly cpus?: number;
  readonly cpuShares?: number;
  /** 0: no limit. */
  readonly pidsLimit?: number;
  readonly restart?: RequestedRestartPolicy;
}

/** `fairlead update`: docker's flags; what is not named stays as it is. */
export function addUpdateCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("update")
    .summary("change the limits of containers, and their restart policy")
    .option("-m, --memory <size>", 'for example "512m"', parseSize)
    .option("--cpus <number>", 'for example "1.5"', parseCpus)
    .option("-c, --cpu-shares <weight>", "relative weight", wholeNumber(2, 262_144))
    .option("--pids-limit <count>", "processes at most, -1 for no limit", parsePidsLimit)
    .option("--restart <policy>", "no, always, unless-stopped or on-failure[:times]", parseRestartPolicy)
    .hook("preAction", (_, line) => void updateFrom(line.opts<UpdateOptions>()))
    .addHelpText("after", examples);
  addContainerAction<UpdateOptions>(line, command, ({ client, call }, target, options) =>
    client.containers.updateContainer({ ...target, update: updateFrom(options) }, call),
  );
}

/** Throws `InvalidArgumentError` when nothing is to be otherwise. */
function updateFrom({ memory, cpus, cpuShares, pidsLimit, restart }: UpdateOptions) {
  const update = {
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(cpus === undefined ? {} : { milliCpus: cpus }),
    ...(cpuShares === undefined ? {} : { cpuShares }),
    ...(pidsLimit === undefined ? {} : { pids: pidsLimit }),
    ...(restart === undefined ? {} : { restartPolicy: restart }),
  };
  if (Object.keys(update).length === 0) {
    throw new InvalidArgumentError("Provide one or more flags that say what to change.");
  }
  return update;
}

function parsePidsLimit(text: string): number {
  return text === "-1" ? 0 : wholeNumber(0, 4_194_304)(text);
}

const examples = `
Examples:
  fairlead update -m 512m --cpus 1.5 web
  fairlead update --restart unless-stopped web-1/web web-2/web
`;
