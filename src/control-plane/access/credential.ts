import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { Caller } from "../../rpc/caller.ts";

/** What is known of a caller that showed who it is. */
export type Identity = Omit<Caller, "onEnd">;

type EndListener = (reason: FleetError) => void;

/** What a caller showed who it is with. Whoever listens is told once when it is no longer good. */
export class Credential {
  readonly caller: Caller;
  /** In milliseconds since the epoch. Undefined: it has no end. */
  readonly expireTime: number | undefined;
  readonly #listeners = new Set<EndListener>();
  readonly #expiries: Expiries;
  #ended: FleetError | undefined;

  constructor(identity: Identity, expireTime: number | undefined, expiries: Expiries) {
    this.expireTime = expireTime;
    this.#expiries = expiries;
    this.caller = { ...identity, onEnd: (listener) => this.#listen(listener) };
  }

  /** Whether somebody listens: a stream is open. */
  get inUse(): boolean {
    return this.#listeners.size > 0;
  }

  /** It is no longer good: tells whoever listens. */
  end(reason: FleetError): void {
    this.#ended ??= reason;
    this.#expiries.forget(this);
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(this.#ended);
  }

  #listen(listener: EndListener): () => void {
    if (this.#ended !== undefined) {
      listener(this.#ended);
      return () => undefined;
    }
    // Wrapped, so that a function given twice is called twice and removed once.
    const entry: EndListener = (reason) => listener(reason);
    this.#listeners.add(entry);
    if (this.expireTime !== undefined) this.#expiries.watch(this);
    return () => {
      this.#listeners.delete(entry);
      if (!this.inUse) this.#expiries.forget(this);
    };
  }
}

/** What calls with a credential end with that is not good, whyever it is not. */
export function notValid(): FleetError {
  return new FleetError(
    "UNAUTHENTICATED",
    "the credentials of the call are not valid: they are unknown, expired or revoked",
  );
}

const lookEveryMs = 1_000;

/** Ends credentials when their time is over, as long as somebody listens. Its one timer runs only while there are such. */
export class Expiries {
  readonly #clock: Clock;
  readonly #watched = new Set<Credential>();
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the credential within about a second after its time. */
  watch(credential: Credential): void {
    this.#watched.add(credential);
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref();
  }

  /** Lets go of a credential. */
  forget(credential: Credential): void {
    this.#watched.delete(credential);
    if (this.#watched.size === 0) this.close();
  }

  /** Stops the timer. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = this.#clock.now();
    for (const credential of this.#watched) {
      if (credential.expireTime !== undefined && credential.expireTime <= now) credential.end(notValid());
    }
  }
}
