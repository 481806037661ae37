import type { X509Certificate } from "node:crypto";
import type { Logger } from "pino";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal, untilAborted } from "../../resilience/signals.ts";
import type { CertificateFile } from "../identity/certificate-file.ts";

/** What renewing a certificate needs. */
export interface CertificateRenewalParts {
  readonly file: CertificateFile;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Sends a request (PKCS #10, DER). */
  readonly ask: (request: Uint8Array) => void;
}

// A part of its life, so that agents that were enrolled together do not come together, and some of it is left for when nobody answers.
const renewFrom = 0.5;
const renewSpread = 0.3;
// A control plane that does not answer gives none, or is too old, or has been asked too often.
const askAgainMs = 60 * 60_000;
// No timer holds longer than 24.8 days.
const longestSleepMs = 24 * 60 * 60_000;

/** Renews the agent's certificate within one session, which goes on meanwhile: the next connection shows the new one. */
export class CertificateRenewal {
  readonly #parts: CertificateRenewalParts;
  #dueMs: number | undefined;
  #wake: () => void = () => undefined;

  constructor(parts: CertificateRenewalParts) {
    this.#parts = parts;
    this.#plan();
  }

  /** The control plane wants it asked at some moment within this time. */
  wanted(withinMs: number): void {
    const { clock, random } = this.#parts;
    this.#due(Math.min(this.#dueMs ?? Number.POSITIVE_INFINITY, clock.now() + withinMs * random()));
  }

  /** Takes an answer. */
  async take(certificate: Uint8Array): Promise<void> {
    const { file, logger } = this.#parts;
    try {
      if (!(await file.accept(certificate))) {
        logger.warn("a certificate came that nobody had asked for");
        return;
      }
      logger.info({ until: file.details?.validTo }, "this agent has another certificate");
      this.#plan();
    } catch (error) {
      logger.error({ err: error }, "the new certificate cannot be kept; it will be asked for again");
    }
  }

  /** Asks when it is time, until the signal aborts; then it rejects with its reason. */
  async run(signal: AbortSignal): Promise<never> {
    const { clock, file, ask } = this.#parts;
    for (;;) {
      const leftMs = this.#dueMs === undefined ? undefined : this.#dueMs - clock.now();
      if (leftMs !== undefined && leftMs <= 0) {
        this.#dueMs = clock.now() + askAgainMs;
        ask(file.request());
      } else {
        await this.#rest(leftMs, signal);
      }
    }
  }

  /** Waits until the time is over, if there is one, or another moment was set. */
  async #rest(ms: number | undefined, parent: AbortSignal): Promise<void> {
    const nap = linkSignal(parent);
    this.#wake = () => nap.abort(undefined);
    try {
      const over =
        ms === undefined
          ? untilAborted(new Promise<never>(() => undefined), nap.signal)
          : this.#parts.clock.sleep(Math.min(ms, longestSleepMs), nap.signal);
      await over.catch(() => undefined);
      parent.throwIfAborted();
    } finally {
      this.#wake = () => undefined;
      nap.release();
    }
  }

  #plan(): void {
    const { details } = this.#parts.file;
    if (details !== undefined) this.#due(renewalTime(details, this.#parts.random()));
  }

  #due(ms: number): void {
    this.#dueMs = ms;
    this.#wake();
  }
}

function renewalTime({ validFromDate, validToDate }: X509Certificate, random: number): number {
  const lifeMs = validToDate.getTime() - validFromDate.getTime();
  return validFromDate.getTime() + lifeMs * (renewFrom + renewSpread * random);
}
