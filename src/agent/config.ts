import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { FleetError } from "../domain/errors.ts";
import { type Clock, systemClock } from "../resilience/clock.ts";
import type { Engine } from "./engine/engine.ts";

/** What an agent is started with. */
export interface AgentOptions {
  /** The control plane's listener for agents, "host:port". */
  readonly server: string;
  /** Registration token. Needed for the first contact only; a present identity wins over it. */
  readonly token?: string;
  /** Folder for identity and journal. Made when missing. */
  readonly dataDir: string;
  /**
   * Whether the caller sees to it that no other agent uses the data folder. By default the agent locks it, which costs an open file: a program
   * that runs thousands of agents locks the folder above theirs instead. Default: false.
   */
  readonly dataDirIsLocked?: boolean;
  /** The engine to manage. It is not closed with the agent: whoever made it closes it. */
  readonly engine: Engine;
  /** Display name to ask for. Default: the host's own name. */
  readonly name?: string;
  /** Enrol although the engine is known already, a clone of a disk image. Needs `name`. */
  readonly uniqueByName?: boolean;
  readonly logger: Logger;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Source of jitter, from 0 to below 1. Default: `Math.random`. */
  readonly random?: () => number;
  /** How the connection is secured. Default: by the authority that the registration token names. */
  readonly credentials?: ChannelCredentials;
  /** Plaintext although the address is not a loopback one, for use behind something else that encrypts. Default: false. */
  readonly insecure?: boolean;
  /** The container that the agent runs in: its full id, or a prefix of at least 12 digits. Default: found out from the system. */
  readonly ownContainerId?: string;
  /** The file that says what may be done on this host, which must be there. Default: policy.yaml in the data folder, where there is one. */
  readonly policyFile?: string;
  /** Departures from the usual limits. */
  readonly limits?: Partial<AgentLimits>;
}

/** Bounds of what an agent does at once and keeps. */
export interface AgentLimits {
  /** Commands that run at once. */
  readonly concurrentCommands: number;
  /** Commands that wait for their turn. */
  readonly queuedCommands: number;
  /** Commands that only wait, for the end of a process for example. Beyond it they keep their turn. */
  readonly commandsOutOfTurn: number;
  /** Facts kept while there is no session. */
  readonly queuedEvents: number;
  /** Streams held at once. */
  readonly streams: number;
  /** How long connecting and the handshake may take, in milliseconds. */
  readonly handshakeMs: number;
}

/** Checked options, nothing left open. */
export interface AgentConfig {
  readonly server: string;
  readonly token: string | undefined;
  readonly dataDir: string;
  readonly dataDirIsLocked: boolean;
  readonly engine: Engine;
  readonly name: string;
  readonly uniqueByName: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly credentials: ChannelCredentials | undefined;
  readonly insecure: boolean;
  readonly ownContainerId: string | undefined;
  readonly policy: { readonly path: string; readonly required: boolean };
  readonly limits: AgentLimits;
  readonly agentVersion: string;
}

const policyName = "policy.yaml";

const usualLimits: AgentLimits = {
  concurrentCommands: 16,
  queuedCommands: 1024,
  commandsOutOfTurn: 256,
  queuedEvents: 10_000,
  streams: 32,
  handshakeMs: 30_000,
};

/** Fills in the defaults. Throws `INVALID_ARGUMENT` that names what is wrong. */
export function agentConfigFrom(options: AgentOptions): AgentConfig {
  checkServer(options.server);
  checkName(options);
  check(options.dataDir.length > 0, "data folder", "is missing");
  check(
    options.token === undefined || /^[!-~]{1,256}$/.test(options.token),
    "token",
    "is not a registration token",
  );
  const limits = { ...usualLimits, ...options.limits };
  for (const [limit, value] of Object.entries(limits)) {
    check(Number.isSafeInteger(value) && value > 0, limit, `must be a whole number above 0, not ${value}`);
  }
  return {
    server: options.server,
    token: options.token,
    dataDir: resolve(options.dataDir),
    dataDirIsLocked: options.dataDirIsLocked ?? false,
    engine: options.engine,
    name: options.name ?? "",
    uniqueByName: options.uniqueByName ?? false,
    logger: options.logger,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    credentials: options.credentials,
    insecure: options.insecure ?? false,
    ownContainerId: options.ownContainerId,
    policy: {
      path: resolve(options.policyFile ?? join(options.dataDir, policyName)),
      required: options.policyFile !== undefined,
    },
    limits,
    agentVersion: packageVersion(),
  };
}

function checkServer(server: string): void {
  const port = Number(/^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(\d{1,5})$/.exec(server)?.[1]);
  check(port > 0 && port < 65_536, "server", `must be "host:port", not ${JSON.stringify(server)}`);
}

function checkName({ name = "", uniqueByName }: AgentOptions): void {
  const form = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,62})?$/;
  check(form.test(name), "name", "may have 63 letters, digits, dots, dashes and underscores");
  check(uniqueByName !== true || name !== "", "name", "is needed to enrol a clone by its name");
}

function check(good: boolean, field: string, description: string): void {
  if (good) return;
  throw new FleetError("INVALID_ARGUMENT", `agent: ${field} ${description}`, {
    violations: [{ field, description }],
  });
}

// The same two steps up from src/agent and from dist/agent.
function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const version =
    typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : "";
  return typeof version === "string" && version !== "" ? version : "unknown";
}
