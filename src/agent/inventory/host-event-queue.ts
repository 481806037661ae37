import type { Logger } from "pino";
import type { EngineEvent } from "../engine/engine.ts";

/**
 * Facts from the engine that wait to be sent, in their order, across sessions. Bounded: beyond the limit the oldest
 * goes, because the newest tell how things stand; it is counted and logged, never silent.
 */
export class HostEventQueue {
  readonly #limit: number;
  readonly #logger: Logger;
  #events: EngineEvent[] = [];
  #start = 0;
  #dropped = 0;
  #onEvent: (() => void) | undefined;

  constructor(limit: number, logger: Logger) {
    this.#limit = limit;
    this.#logger = logger;
  }

  /** How many wait. */
  get size(): number {
    return this.#events.length - this.#start;
  }

  /** How many were ever dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Adds a fact, at the cost of the oldest when the queue is full. */
  push(event: EngineEvent): void {
    this.#events.push(event);
    if (this.size > this.#limit) this.#dropOldest();
    this.#onEvent?.();
  }

  /** The oldest fact, without taking it. */
  peek(): EngineEvent | undefined {
    return this.#events[this.#start];
  }

  /** Takes away the fact that `peek` showed. */
  take(): void {
    if (this.size === 0) return;
    this.#start += 1;
    // Cut now and then instead of shifting each time, which would copy the rest.
    if (this.#start < 1024 && this.size > 0) return;
    this.#events = this.#events.slice(this.#start);
    this.#start = 0;
  }

  /** Calls back at each new fact until the returned function is called. One listener at a time: the session. */
  listen(onEvent: () => void): () => void {
    this.#onEvent = onEvent;
    return () => {
      if (this.#onEvent === onEvent) this.#onEvent = undefined;
    };
  }

  #dropOldest(): void {
    this.take();
    this.#dropped += 1;
    // Each power of two: a flood of drops must not become a flood of lines.
    if ((this.#dropped & (this.#dropped - 1)) !== 0) return;
    this.#logger.warn(
      { dropped: this.#dropped, limit: this.#limit },
      "no session for too long, the oldest container events are dropped",
    );
  }
}
