import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import type { Logger } from "pino";
import { FleetError } from "../../../domain/errors.ts";
import type { Clock } from "../../../resilience/clock.ts";
import { parsePolicy } from "./parse-policy.ts";
import { openPolicy, type Policy } from "./policy.ts";
import { cutText, policySummary } from "./policy-summary.ts";

/** What is told of a policy. */
export interface PolicyReport {
  readonly readOnly: boolean;
  /** SHA-256 of the file as it is in force, in hex. Empty: none is. */
  readonly digest: string;
  readonly summary: readonly string[];
  /** What is wrong with the file as it is now. Empty: nothing. */
  readonly problem: string;
}

/** Where the policy is, and who watches it. */
export interface PolicyFileOptions {
  readonly path: string;
  /** It must be there. */
  readonly required: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often it is looked at, in milliseconds; ten times as long as it is not there. Default: 1 s. */
  readonly pollMs?: number;
}

const maxBytes = 64 * 1024;
const usualPollMs = 1000;
const absent = "absent";
// Most hosts have none, and thousands of simulated agents may live in one process.
const absentFactor = 10;

/**
 * The policy of the host, as its file says. While `run` runs a file that changes is read again; one that is then broken, or gone,
 * changes nothing but what is reported: the last good one stays in force until the agent ends.
 */
export class PolicyFile {
  readonly #options: PolicyFileOptions;
  readonly #listeners = new Set<() => void>();
  #policy: Policy = openPolicy;
  #report: PolicyReport | undefined;
  /** The file as it was when it was read last. */
  #read: string = absent;
  /** The file as it was at the last look. */
  #seen: string = absent;

  private constructor(options: PolicyFileOptions) {
    this.#options = options;
  }

  /** Reads the file. Rejects with `INVALID_ARGUMENT` that names line and key when it is broken, or missing and required. */
  static async open(options: PolicyFileOptions): Promise<PolicyFile> {
    const file = new PolicyFile(options);
    file.#seen = await file.#look();
    file.#read = file.#seen;
    if (file.#seen === absent && !options.required) return file;
    await file.#load();
    options.logger.info(
      { path: options.path, digest: file.#report?.digest, summary: file.#report?.summary },
      "the host's policy is in force",
    );
    return file;
  }

  /** The policy in force. */
  get current(): Policy {
    return this.#policy;
  }

  /** What is told of it. Undefined: the host has none. */
  get report(): PolicyReport | undefined {
    return this.#report;
  }

  /** Calls a listener whenever `report` becomes another one. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Watches the file until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, pollMs = usualPollMs } = this.#options;
    while (!signal.aborted) {
      await clock
        .sleep(this.#seen === absent ? absentFactor * pollMs : pollMs, signal)
        .catch(() => undefined);
      if (!signal.aborted) await this.#follow();
    }
  }

  async #follow(): Promise<void> {
    const seen = await this.#look();
    // Only a file that has come to rest is read: half of one that is just being written may be good YAML.
    const rests = seen === this.#seen;
    this.#seen = seen;
    if (!rests || seen === this.#read) return;
    this.#read = seen;
    const { logger, path } = this.#options;
    try {
      await this.#load();
      const { digest, summary } = this.#report ?? {};
      logger.warn({ path, digest, summary }, "the host's policy was changed, and the new one is in force");
    } catch (error) {
      const problem = cutText(error instanceof FleetError ? error.message : "it cannot be read", 512);
      this.#report = { ...(this.#report ?? noPolicy), problem };
      logger.error(
        { path, err: error },
        `the host's policy was not taken, the last good one stays: ${problem}`,
      );
    }
    for (const listener of this.#listeners) listener();
  }

  /** Tells one version of the file from another. */
  async #look(): Promise<string> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(this.#options.path, { bigint: true });
      return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      // A data folder that is no folder has no policy either; what is wrong with it is better said by those who need it.
      return ["ENOENT", "ENOTDIR"].includes(code) ? absent : "unreadable";
    }
  }

  async #load(): Promise<void> {
    const bytes = await this.#bytes();
    this.#policy = this.#parsed(bytes);
    this.#report = {
      readOnly: this.#policy.readOnly,
      digest: createHash("sha256").update(bytes).digest("hex"),
      summary: policySummary(this.#policy),
      problem: "",
    };
  }

  #parsed(bytes: Uint8Array): Policy {
    try {
      return parsePolicy(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (error) {
      if (!(error instanceof FleetError)) throw this.#fault("is not UTF-8", error);
      throw new FleetError("INVALID_ARGUMENT", `host policy ${this.#options.path}, ${error.message}`);
    }
  }

  async #bytes(): Promise<Uint8Array> {
    try {
      await using file = await open(this.#options.path);
      const { bytesRead, buffer } = await file.read(Buffer.alloc(maxBytes + 1));
      if (bytesRead > maxBytes) throw this.#fault(`has more than ${maxBytes} bytes`);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      if (error instanceof FleetError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      throw this.#fault(code === "ENOENT" ? "is not there" : `cannot be read (${code})`, error);
    }
  }

  #fault(description: string, cause?: unknown): FleetError {
    return new FleetError("INVALID_ARGUMENT", `host policy ${this.#options.path} ${description}`, { cause });
  }
}

const noPolicy: PolicyReport = { readOnly: false, digest: "", summary: [], problem: "" };
