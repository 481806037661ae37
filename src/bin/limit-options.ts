import { Option } from "commander";
import type { Command } from "commander";
import { wholeNumber } from "../cli/grammar/number.ts";
import type { ApiLimits } from "../rpc/api-limits.ts";

/** How much of the API one key, and all together, may use at once, as it was asked for. */
export interface LimitOptions {
  readonly apiRate?: number;
  readonly apiBurst?: number;
  readonly apiMaxCalls?: number;
}

const mostCalls = 999_999_999;

/** Gives a command the limits of the API. */
export function addLimitOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--api-rate <calls>",
        "calls a second of one API key in the long run; 0: without limit (default: 1000)",
      )
        .env("FAIRLEAD_API_RATE")
        .argParser(wholeNumber(0, mostCalls)),
    )
    .addOption(
      new Option("--api-burst <calls>", "calls of one API key at once, after a while without (default: 5000)")
        .env("FAIRLEAD_API_BURST")
        .argParser(wholeNumber(1, mostCalls)),
    )
    .addOption(
      new Option(
        "--api-max-calls <calls>",
        "calls that wait, follow or are being answered at once, of all (default: 10000)",
      )
        .env("FAIRLEAD_API_MAX_CALLS")
        .argParser(wholeNumber(2, mostCalls)),
    );
}

/** What of the limits is to differ from the defaults. */
export function apiLimitsFrom({ apiRate, apiBurst, apiMaxCalls }: LimitOptions): Partial<ApiLimits> {
  return {
    ...(apiRate === undefined ? {} : { callsPerSecond: apiRate }),
    ...(apiBurst === undefined ? {} : { callBurst: apiBurst }),
    ...(apiMaxCalls === undefined ? {} : { maxOpenCalls: apiMaxCalls }),
  };
}
