import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { parseDuration } from "./grammar/duration.ts";
import { addClientOptions } from "./invocation.ts";

/** What every command that only looks at a container can be told. */
export interface LookOptions {
  readonly host?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** Gives a command the options of every command that only looks at a container. `usually`: how long it may take by default. */
export function addLookOptions(command: Command, usually = "30s"): Command {
  command
    .option("--host <host>", "the host, by name or id; HOST/NAME says the same")
    .option(
      "--timeout <duration>",
      `how long it may take, for example "45s" (default ${usually})`,
      parseDuration,
    );
  return addClientOptions(command);
}

/** The part of a request that says how long it may take. */
export function timeoutPart({ timeout }: LookOptions) {
  return timeout === undefined ? {} : { timeout: durationFromMs(timeout) };
}
