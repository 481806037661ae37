import type { Logger } from "pino";
import type { EngineEvent } from "../engine/engine.ts";
import type { EventCause } from "./event-causes.ts";

/** A fact from the engine with what the agent knows of it. */
export interface HostFact extends EngineEvent {
  /** It may have been told before, or is told late. */
  readonly caughtUp: boolean;
  readonly cause: EventCause;
}

/** What a queue is made of. */
export interface HostEventQueueOptions {
  /** How many facts are kept. */
  readonly limit: number;
  /** Called with the time of the last fact that the control plane has, with all before it. */
  readonly onTaken: (timeNs: bigint) => void;
  readonly logger: Logger;
}

/**
 * Facts from the engine in their order, across sessions: those that wait to be sent, and those that were sent and that the control plane has not
 * said to have. Bounded: beyond the limit the oldest goes, because the newest tell how things stand; it is counted and logged, never silent.
 */
export class HostEventQueue {
  readonly #options: HostEventQueueOptions;
  #facts: HostFact[] = [];
  /** The first that is kept, and the first that is not sent. */
  #start = 0;
  #next = 0;
  /** How many that this session sent are kept no longer. */
  #released = 0;
  #acknowledges = false;
  #dropped = 0;
  #onEvent: (() => void) | undefined;

  constructor(options: HostEventQueueOptions) {
    this.#options = options;
  }

  /** How many wait to be sent. */
  get size(): number {
    return this.#facts.length - this.#next;
  }

  /** How many were ever dropped without having been sent. */
  get dropped(): number {
    return this.#dropped;
  }

  /** A session begins: all that the control plane does not have is sent in it. Unless it acknowledges, it has what was sent. */
  beginSession(acknowledges: boolean): void {
    this.#acknowledges = acknowledges;
    this.#facts = this.#facts.slice(this.#start).map((fact) => ({ ...fact, caughtUp: true }));
    this.#start = 0;
    this.#next = 0;
    this.#released = 0;
  }

  /** Adds a fact, at the cost of the oldest when the queue is full. */
  push(fact: HostFact): void {
    this.#facts.push(fact);
    if (this.#facts.length - this.#start > this.#options.limit) this.#dropOldest();
    this.#onEvent?.();
  }

  /** The oldest fact that was not sent, without taking it. */
  peek(): HostFact | undefined {
    return this.#facts[this.#next];
  }

  /** The fact that `peek` showed is sent. */
  take(): void {
    if (this.size === 0) return;
    this.#next += 1;
    if (!this.#acknowledges) this.#release(1);
  }

  /** The control plane has so many of those that this session sent. */
  acknowledge(count: number): void {
    this.#release(count - this.#released);
  }

  /** Calls back at each new fact until the returned function is called. One listener at a time: the session. */
  listen(onEvent: () => void): () => void {
    this.#onEvent = onEvent;
    return () => {
      if (this.#onEvent === onEvent) this.#onEvent = undefined;
    };
  }

  #release(count: number): void {
    const released = Math.min(count, this.#next - this.#start);
    const last = this.#facts[this.#start + released - 1];
    if (released <= 0 || last === undefined) return;
    this.#forget(released);
    this.#options.onTaken(last.timeNs);
  }

  #forget(count: number): void {
    this.#start += count;
    this.#released += count;
    // Cut now and then instead of shifting each time, which would copy the rest.
    if (this.#start < 1024 && this.#start < this.#facts.length) return;
    this.#facts = this.#facts.slice(this.#start);
    this.#next -= this.#start;
    this.#start = 0;
  }

  #dropOldest(): void {
    if (this.#start < this.#next) {
      this.#forget(1);
      return;
    }
    this.#next += 1;
    this.#forget(1);
    // It was not sent: the control plane's count does not know it.
    this.#released -= 1;
    this.#dropped += 1;
    // Each power of two: a flood of drops must not become a flood of lines.
    if ((this.#dropped & (this.#dropped - 1)) !== 0) return;
    this.#options.logger.warn(
      { dropped: this.#dropped, limit: this.#options.limit },
      "no session for too long, the oldest container events are dropped",
    );
  }
}
