import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { OfflinePolicy } from "../gen/fairlead/command/v1/offline_policy_pb.js";
import type { ContainerState } from "../gen/fairlead/container/v1/container_pb.js";
import { parseContainerState } from "./grammar/container-filter.ts";
import { parseDuration } from "./grammar/duration.ts";
import { momentAfter, parseMoment, parseTime } from "./grammar/moment.ts";
import type { Moment } from "./grammar/moment.ts";

/** How a command is to reach its host, as it was asked for. */
export interface DeliveryOptions {
  readonly requestId?: string;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly wait?: boolean;
  readonly queue?: boolean;
  readonly expires?: Moment;
}

/** What must hold of a container for it to be acted on. */
export interface PreconditionOptions {
  readonly ifImage?: string;
  readonly ifState?: ContainerState;
  readonly ifStarted?: Timestamp;
}

/** Gives a command the options of every command that acts. */
export function addDeliveryOptions(command: Command): Command {
  return command
    .option("--request-id <key>", "makes it safe to run this line again: the same key never acts twice")
    .option("--timeout <duration>", 'how long it may take, for example "45s" (default 30s)', parseDuration)
    .addOption(
      new Option("--wait", "when the host is offline, wait for it as long as it may take").conflicts("queue"),
    )
    .option("--queue", "only write it down, print the command's id and end; it runs when the host is there")
    .option(
      "--expires <when>",
      'with --queue: until when it may start, for example "2h" or a time (default 24h)',
      parseMoment,
    );
}

/** Gives a command the options of every command that acts on a container that is there. */
export function addPreconditionOptions(command: Command): Command {
  return command
    .option("--if-image <digest>", "only if it runs this image, by the image's id")
    .option("--if-state <state>", 'only if it is in this state, for example "running"', parseContainerState)
    .option("--if-started <time>", "only if it was started at this time, as `ps --json` tells it", parseTime);
}

/** What of the options every acting request has. Throws `InvalidArgumentError` for those that do not go together. */
export function deliveryPart(options: DeliveryOptions, nowMs: number) {
  const { requestId = "", timeout, expires } = options;
  if (expires !== undefined && options.queue !== true) {
    throw new InvalidArgumentError("--expires goes with --queue only.");
  }
  return {
    requestId,
    offlinePolicy: policyOf(options),
    ...(timeout === undefined ? {} : { timeout: durationFromMs(timeout) }),
    ...(expires === undefined ? {} : { expireTime: momentAfter(expires, nowMs) }),
  };
}

/** What of the options every request has that acts on a container that is there. */
export function preconditionPart({ ifImage, ifState, ifStarted }: PreconditionOptions) {
  if (ifImage === undefined && ifState === undefined && ifStarted === undefined) {
    return {};
  }
  const preconditions = {
    ...(ifImage === undefined ? {} : { expectedImageDigest: ifImage }),
    ...(ifState === undefined ? {} : { expectedState: ifState }),
    ...(ifStarted === undefined ? {} : { expectedStartedTime: ifStarted }),
  };
  return { preconditions };
}

function policyOf({ wait, queue }: DeliveryOptions): OfflinePolicy {
  if (queue === true) return OfflinePolicy.QUEUE;
  return wait === true ? OfflinePolicy.WAIT : OfflinePolicy.UNSPECIFIED;
}
