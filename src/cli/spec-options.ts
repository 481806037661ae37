import type { Command } from "commander";
import { parseDuration } from "./grammar/duration.ts";
import { readEnvironmentFile } from "./grammar/environment-file.ts";
import { collect, parseKeyValue } from "./grammar/key-value.ts";
import { parseMount, parseTmpfs, parseVolume } from "./grammar/mount.ts";
import { parseCpus, wholeNumber } from "./grammar/number.ts";
import { parsePublish } from "./grammar/port.ts";
import { parseRestartPolicy } from "./grammar/restart-policy.ts";
import { parseSize } from "./grammar/size.ts";

/** Gives a command docker's flags that say what a container is made of, for `containerSpecFrom`. */
export function addSpecOptions(command: Command): Command {
  for (const add of [addProcessOptions, addPlaceOptions, addLimitOptions, addHealthOptions]) {
    add(command);
  }
  return command;
}

function addProcessOptions(command: Command): void {
  command
    .option(
      "-e, --env <name=value>",
      "an environment variable; NAME alone: as it is here",
      collect(parseKeyValue),
    )
    .option("--env-file <file>", "a file of them", collect(readEnvironmentFile))
    .option("--entrypoint <command>", "instead of the image's entrypoint")
    .option("-u, --user <user>", "who it runs as: name, uid or uid:gid")
    .option("-w, --workdir <path>", "where it starts")
    .option("-t, --tty", "give it a terminal")
    .option("-i, --interactive", "keep its standard input open")
    .option("--init", "run an init process that reaps and forwards signals")
    .option("--stop-signal <signal>", "the signal that stops it")
    .option("--stop-timeout <seconds>", "how long a stop may take before the kill", wholeNumber(0, 3_600))
    .option("--restart <policy>", "no, always, unless-stopped or on-failure[:times]", parseRestartPolicy)
    .option("--rm", "remove it as soon as it ends");
}

function addPlaceOptions(command: Command): void {
  command
    .option("-p, --publish <port>", "[[ip:]hostPort:]containerPort[/protocol]", collect(parsePublish))
    .option("-v, --volume <mount>", "[source:]target[:ro]", collect(parseVolume))
    .option("--mount <fields>", "type=bind,source=/srv,target=/data,readonly", collect(parseMount))
    .option("--tmpfs <path>", "memory as a directory", collect(parseTmpfs))
    .option("--network <name>", "a network to attach it to", collect(String))
    .option("--hostname <name>", "its name inside")
    .option("-l, --label <key=value>", "a label", collect(parseKeyValue));
}

function addLimitOptions(command: Command): void {
  command
    .option("-m, --memory <size>", 'for example "512m"', parseSize)
    .option("--cpus <number>", 'for example "1.5"', parseCpus)
    .option("-c, --cpu-shares <weight>", "relative weight", wholeNumber(0, 262_144))
    .option("--pids-limit <count>", "processes at most", wholeNumber(1, 4_194_304))
    .option("--read-only", "its root file system cannot be written to")
    .option("--privileged", "give it all the host's powers; rarely right");
}

function addHealthOptions(command: Command): void {
  command
    .option("--health-cmd <command>", "a shell command that tells whether it is well")
    .option("--health-interval <duration>", "between two checks (default 30s)", parseDuration)
    .option("--health-timeout <duration>", "how long a check may take (default 30s)", parseDuration)
    .option("--health-start-period <duration>", "how long failures do not count at first", parseDuration)
    .option("--health-retries <count>", "failures that make it unhealthy (default 3)", wholeNumber(1, 1_000))
    .option("--no-healthcheck", "no check at all, whatever the image says");
}
