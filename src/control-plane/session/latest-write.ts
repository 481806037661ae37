import type { AgentSession } from "./agent-session.ts";

/**
 * Writes down what the agent of one session tells of one thing. While one value is being written only the latest of those that come
 * waits, so that an agent that tells of nothing else fills nothing. A write that fails is logged.
 */
export class LatestWrite<Value> {
  readonly #session: AgentSession;
  readonly #what: string;
  readonly #write: (value: Value) => Promise<unknown>;
  #next: { readonly value: Value } | undefined;
  #isWriting = false;

  /** `what` is for the log. */
  constructor(session: AgentSession, what: string, write: (value: Value) => Promise<unknown>) {
    this.#session = session;
    this.#what = what;
    this.#write = write;
  }

  /** Takes a value. */
  take(value: Value): void {
    this.#next = { value };
    if (!this.#isWriting) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let next = this.#taken(); next !== undefined; next = this.#taken()) await this.#write(next.value);
    } catch (error) {
      this.#session.logger.error({ err: error }, `${this.#what} could not be stored`);
    } finally {
      this.#isWriting = false;
    }
  }

  #taken(): { readonly value: Value } | undefined {
    const next = this.#next;
    this.#next = undefined;
    return next;
  }
}
