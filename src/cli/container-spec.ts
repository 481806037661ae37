import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError } from "commander";
import type { ContainerSpecSchema } from "../gen/fairlead/container/v1/container_spec_pb.js";
import type { Variable } from "./grammar/environment-file.ts";
import type { RequestedMount } from "./grammar/mount.ts";
import type { PublishedPort } from "./grammar/port.ts";
import type { RequestedRestartPolicy } from "./grammar/restart-policy.ts";

/** Docker's flags of `create`, as they were read. Durations are milliseconds. */
export interface SpecOptions {
  readonly env?: readonly Variable[];
  readonly envFile?: readonly (readonly Variable[])[];
  readonly entrypoint?: string;
  readonly user?: string;
  readonly workdir?: string;
  readonly tty?: boolean;
  readonly interactive?: boolean;
  readonly init?: boolean;
  readonly stopSignal?: string;
  /** Seconds. */
  readonly stopTimeout?: number;
  readonly restart?: RequestedRestartPolicy;
  readonly rm?: boolean;
  readonly publish?: readonly (readonly PublishedPort[])[];
  readonly volume?: readonly RequestedMount[];
  readonly mount?: readonly RequestedMount[];
  readonly tmpfs?: readonly RequestedMount[];
  readonly network?: readonly string[];
  readonly hostname?: string;
  readonly label?: readonly (readonly [key: string, value: string | undefined])[];
  readonly memory?: bigint;
  /** Thousandths. */
  readonly cpus?: number;
  readonly cpuShares?: number;
  readonly pidsLimit?: number;
  readonly readOnly?: boolean;
  readonly privileged?: boolean;
  readonly healthCmd?: string;
  readonly healthInterval?: number;
  readonly healthTimeout?: number;
  readonly healthStartPeriod?: number;
  readonly healthRetries?: number;
  /** False with --no-healthcheck. */
  readonly healthcheck?: boolean;
}

type SpecInit = MessageInitShape<typeof ContainerSpecSchema>;

/**
 * The specification that docker's flags mean. A variable without a value is taken from `surroundings`, and left out
 * when it is not there. Throws `InvalidArgumentError` when flags contradict each other.
 */
export function containerSpecFrom(
  image: string,
  command: readonly string[],
  options: SpecOptions,
  surroundings: Readonly<Record<string, string | undefined>>,
): SpecInit {
  const { stopTimeout, restart } = options;
  if (options.rm === true && restart !== undefined && restart.mode > 1) {
    throw new InvalidArgumentError("--rm and --restart contradict each other.");
  }
  return {
    image,
    command: [...command],
    entrypoint: options.entrypoint === undefined ? [] : [options.entrypoint],
    environment: environmentOf(options, surroundings),
    ports: (options.publish ?? []).flat(),
    mounts: [...(options.volume ?? []), ...(options.mount ?? []), ...(options.tmpfs ?? [])],
    networks: [...(options.network ?? [])],
    labels: Object.fromEntries((options.label ?? []).map(([key, value = ""]) => [key, value])),
    limits: limitsOf(options),
    hostname: options.hostname ?? "",
    user: options.user ?? "",
    workingDirectory: options.workdir ?? "",
    tty: options.tty ?? false,
    stdinOpen: options.interactive ?? false,
    autoRemove: options.rm ?? false,
    init: options.init ?? false,
    stopSignal: options.stopSignal ?? "",
    readOnly: options.readOnly ?? false,
    privileged: options.privileged ?? false,
    ...(restart === undefined ? {} : { restartPolicy: restart }),
    ...(stopTimeout === undefined ? {} : { stopGracePeriod: durationFromMs(stopTimeout * 1_000) }),
    ...healthPart(options),
  };
}

/** The variables of -e and of files, those of -e first, as with docker. One without a value is taken from `surroundings`. */
export function environmentOf(
  { envFile = [], env = [] }: Pick<SpecOptions, "env" | "envFile">,
  surroundings: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const entries = [...envFile.flat(), ...env].flatMap(([name, value = surroundings[name]]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return Object.fromEntries(entries);
}

function limitsOf({ memory, cpus, cpuShares, pidsLimit }: SpecOptions): SpecInit["limits"] {
  return { memoryBytes: memory ?? 0n, milliCpus: cpus ?? 0, cpuShares: cpuShares ?? 0, pids: pidsLimit ?? 0 };
}

function healthPart(options: SpecOptions): Pick<SpecInit, "healthCheck"> {
  const { healthCmd, healthInterval, healthTimeout, healthStartPeriod, healthRetries } = options;
  const given = [healthCmd, healthInterval, healthTimeout, healthStartPeriod, healthRetries];
  const disabled = options.healthcheck === false;
  if (given.every((value) => value === undefined)) {
    return disabled ? { healthCheck: { disabled } } : {};
  }
  if (disabled) {
    throw new InvalidArgumentError("--no-healthcheck and the other health flags contradict each other.");
  }
  return {
    healthCheck: {
      command: healthCmd === undefined ? [] : ["/bin/sh", "-c", healthCmd],
      retries: healthRetries ?? 0,
      ...durationPart("interval", healthInterval),
      ...durationPart("timeout", healthTimeout),
      ...durationPart("startPeriod", healthStartPeriod),
    },
  };
}

function durationPart(name: string, ms: number | undefined) {
  return ms === undefined ? {} : { [name]: durationFromMs(ms) };
}
