import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { access, chmod, constants, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { writeFileDurably } from "./durable-file.ts";

interface Stored {
  /** Empty until the control plane has given one. */
  readonly agentId: string;
  readonly hostId: string;
  /** Ed25519, PKCS#8, PEM. */
  readonly privateKey: string;
}

// Every Ed25519 SubjectPublicKeyInfo is this many bytes of frame around the 32 bytes of the key (RFC 8410).
const publicKeyFrameBytes = 12;

/**
 * Who the agent is: a key made on this host, and the ids that enrolment gave. The private key is in `agent.json` in
 * the data folder and nowhere else; it is on the disk before anything is sent, so that no crash can lose the key of
 * an agent that the control plane knows.
 */
export class IdentityFile {
  readonly #path: string;
  readonly #key: KeyObject;
  #stored: Stored;
  #isWritten = true;

  /** For `open` alone, which knows what the file holds. */
  constructor(path: string, stored: Stored) {
    this.#path = path;
    this.#stored = stored;
    this.#key = createPrivateKey(stored.privateKey);
    if (this.#key.asymmetricKeyType !== "ed25519") throw new TypeError("the key is not an Ed25519 key");
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

  /** The raw public key, 32 bytes. */
  publicKey(): Uint8Array {
    const framed = createPublicKey(this.#key).export({ type: "spki", format: "der" });
    return Uint8Array.from(framed.subarray(publicKeyFrameBytes));
  }

  /** The Ed25519 signature over the bytes, 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array {
    return Uint8Array.from(sign(null, bytes, this.#key));
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
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const stored = { agentId: "", hostId: "", privateKey: pem };
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
  return ["agentId", "hostId", "privateKey"].every((key) => typeof Reflect.get(value, key) === "string");
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
