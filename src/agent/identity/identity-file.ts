import { access, chmod, constants, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { AgentKey } from "./agent-key.ts";
import { writeFileDurably } from "../../disk/durable-file.ts";

interface Stored {
  /** Empty until the control plane has given one. */
  readonly agentId: string;
  readonly hostId: string;
  /** Ed25519, PKCS#8, PEM. */
  readonly privateKey: string;
  /** The next key, which was offered and may be the agent's by now. */
  readonly nextPrivateKey?: string;
}

/**
 * Who the agent is: a key made on this host, and the ids that enrolment gave. The private key is in `agent.json` in
 * the data folder and nowhere else; it is on the disk before anything is sent, so that no crash can lose the key of
 * an agent that the control plane knows.
 */
export class IdentityFile {
  readonly #path: string;
  #stored: Stored;
  #key: AgentKey;
  #next: AgentKey | undefined;
  #isWritten = true;

  /** For `open` alone, which knows what the file holds. */
  constructor(path: string, stored: Stored) {
    this.#path = path;
    this.#stored = stored;
    this.#key = AgentKey.fromPem(stored.privateKey);
    this.#next = stored.nextPrivateKey === undefined ? undefined : AgentKey.fromPem(stored.nextPrivateKey);
  }

  /**
   * Reads the identity, or makes one without ids and writes it. A folder that cannot be written, and a file that
   * cannot be understood, reject with `STORAGE_UNAVAILABLE`; a file that others may read is mended, with a warning.
   */
  static async open(dataDir: string, logger: Logger): Promise<IdentityFile> {
    const path = join(dataDir, "agent.json");
    await prepareFolder(dataDir);
    const text = await readIfThere(path);
    if (text === undefined) return generatePending(path);
    await closeToOthers(path, logger);
    return parse(path, text);
  }

  /** The agent's id. Undefined: not enrolled yet. */
  get agentId(): string | undefined {
    return this.#stored.agentId === "" ? undefined : this.#stored.agentId;
  }

  /** The host's id. Undefined: not enrolled yet. */
  get hostId(): string | undefined {
    return this.#stored.hostId === "" ? undefined : this.#stored.hostId;
  }

  /** The key that is the agent's as far as it knows. */
  get key(): AgentKey {
    return this.#key;
  }

  /** The keys that may be the agent's, in the order in which to try them: one that was offered may be, and then the other is not. */
  keys(): [AgentKey, ...AgentKey[]] {
    return this.#next === undefined ? [this.#key] : [this.#next, this.#key];
  }

  /**
   * The key to offer as the next one. It is on the disk when it resolves, and stays there until `adopt`; offered again it is the same.
   * Rejects with `STORAGE_UNAVAILABLE`.
   */
  async nextKey(): Promise<AgentKey> {
    if (this.#next !== undefined) return this.#next;
    const next = AgentKey.generate();
    const stored = { ...this.#stored, nextPrivateKey: next.pem };
    await write(this.#path, stored);
    this.#stored = stored;
    this.#next = next;
    return next;
  }

  /**
   * The control plane knows the agent by this key, so that another one is of no more use. False, and nothing changes: it is not the next
   * key. Rejects with `STORAGE_UNAVAILABLE`; both keys are then still on the disk.
   */
  async adopt(publicKey: Uint8Array): Promise<boolean> {
    const next = this.#next;
    if (next === undefined || Buffer.compare(next.publicKey, publicKey) !== 0) return false;
    const { nextPrivateKey: _, ...rest } = this.#stored;
    this.#stored = { ...rest, privateKey: next.pem };
    this.#key = next;
    this.#next = undefined;
    this.#isWritten = false;
    await write(this.#path, this.#stored);
    this.#isWritten = true;
    return true;
  }

  /**
   * Keeps the ids that enrolment gave. They are on the disk when it resolves. When it rejects (`STORAGE_UNAVAILABLE`) they
   * are known all the same, so that this process does not enrol a second time; the next call tries again to write them.
   */
  async keepIds(agentId: string, hostId: string): Promise<void> {
    const isKnown = agentId === this.#stored.agentId && hostId === this.#stored.hostId;
    if (isKnown && this.#isWritten) return;
    this.#stored = { ...this.#stored, agentId, hostId };
    this.#isWritten = false;
    await write(this.#path, this.#stored);
    this.#isWritten = true;
  }
}

async function generatePending(path: string): Promise<IdentityFile> {
  const stored = { agentId: "", hostId: "", privateKey: AgentKey.generate().pem };
  await write(path, stored);
  return new IdentityFile(path, stored);
}

async function prepareFolder(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(`the data folder ${dataDir} cannot be written`, error);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw unusable(`the identity file ${path} cannot be read`, error);
  }
}

async function closeToOthers(path: string, logger: Logger): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  logger.warn(
    { path, mode: (mode & 0o777).toString(8) },
    "identity file was open to others, closing it (0600)",
  );
  await chmod(path, 0o600);
}

function parse(path: string, text: string): IdentityFile {
  try {
    const stored: unknown = JSON.parse(text);
    if (!isStored(stored)) throw new TypeError("agentId, hostId or privateKey is missing");
    return new IdentityFile(path, stored);
  } catch {
    // Without the cause: a parser quotes what it could not read, and that may be the key.
    throw unusable(`the identity file ${path} is damaged; restore it, or remove it and enrol the host again`);
  }
}

function isStored(value: unknown): value is Stored {
  if (typeof value !== "object" || value === null) return false;
  const hasAll = ["agentId", "hostId", "privateKey"].every(
    (key) => typeof Reflect.get(value, key) === "string",
  );
  return hasAll && ["undefined", "string"].includes(typeof Reflect.get(value, "nextPrivateKey"));
}

async function write(path: string, stored: Stored): Promise<void> {
  try {
    await writeFileDurably(path, `${JSON.stringify(stored, undefined, 2)}\n`);
  } catch (error) {
    throw unusable(`the identity file ${path} cannot be written`, error);
  }
}

function unusable(message: string, cause?: unknown): FleetError {
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  return new FleetError("STORAGE_UNAVAILABLE", `${message}${detail}`, { cause });
}
