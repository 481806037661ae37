import { isIPv6 } from "node:net";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { type Logger, pino } from "pino";
import type { ListenAddress } from "../control-plane/config.ts";
import { wantsColours } from "../cli/environment.ts";
import type { Environment } from "../cli/environment.ts";
import { formatLogLine } from "../cli/output/log-line.ts";
import { createPaint } from "../cli/output/paint.ts";

/** How long running work may take after the first SIGTERM: less than the 10 s after which `docker stop` kills. */
export const graceMs = 8_000;

/** The settings of every process of this machine. */
export interface LocalOptions {
  readonly data: string;
  readonly logLevel: string;
}

/** The settings of a control plane. */
export interface ListenOptions {
  readonly apiListen: ListenAddress;
  /** Default: every address of the machine, port 7443; in plaintext only 127.0.0.1. */
  readonly agentsListen?: ListenAddress;
}

const logLevels = ["trace", "debug", "info", "warn", "error", "silent"];

/** Gives a command the settings of every process of this machine. */
export function addLocalOptions(command: Command, logLevel: string): Command {
  return command
    .addOption(
      new Option("--data <folder>", "where everything is kept")
        .env("FAIRLEAD_DATA")
        .default("./fairlead-data"),
    )
    .addOption(
      new Option("--log-level <level>", "how much the log on standard error says")
        .env("FAIRLEAD_LOG_LEVEL")
        .choices(logLevels)
        .default(logLevel),
    );
}

/** Gives a command the settings of a control plane. */
export function addListenOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--api-listen <host:port>", "where people and services call")
        .env("FAIRLEAD_API_LISTEN")
        .argParser(parseListen)
        .default({ host: "127.0.0.1", port: 7080 }, "127.0.0.1:7080"),
    )
    .addOption(
      new Option(
        "--agents-listen <host:port>",
        "where agents connect (default: 0.0.0.0:7443, with --insecure 127.0.0.1:7443)",
      )
        .env("FAIRLEAD_AGENTS_LISTEN")
        .argParser(parseListen),
    );
}

/** A log on standard error: JSON, one entry a line, for programs; a short line an entry on a terminal. */
export function createLogger(environment: Environment, level: string): Logger {
  const { stderr, isErrorTTY } = environment;
  const paint = createPaint(wantsColours(environment, isErrorTTY));
  const write = (json: string) => stderr.write(isErrorTTY ? `${formatLogLine(json, paint)}\n` : json);
  return pino({ level, base: null }, { write });
}

/** An address as people write it. */
export function addressText({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Resolves when the signal aborts; at once when it has already. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
}

function parseListen(text: string): ListenAddress {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const [host, port] = [bracketed ?? plain, Number(digits)];
  if (host === undefined || port > 65_535) {
    throw new InvalidArgumentError('Write it as host:port, for example "127.0.0.1:7080".');
  }
  return { host, port };
}
