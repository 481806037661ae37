import { FleetError } from "../../domain/errors.ts";
import type { CommandTarget } from "../dispatch/dispatch-request.ts";
import type { StreamSettings } from "./stream-settings.ts";

/** Counts streams, in all and for each agent, and refuses those beyond the limits. */
export class StreamCount {
  readonly #settings: StreamSettings;
  readonly #ofAgent = new Map<string, number>();
  #size = 0;

  constructor(settings: StreamSettings) {
    this.#settings = settings;
  }

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Counts one more. Returns how to count it off, which may be called twice. Throws TOO_MANY_STREAMS. */
  enter({ agentId, hostName }: CommandTarget): () => void {
    const { maxStreams, maxStreamsEach } = this.#settings;
    const each = this.#ofAgent.get(agentId) ?? 0;
    if (each >= maxStreamsEach) {
      throw tooMany(`host ${hostName} has ${maxStreamsEach} streams open`, maxStreamsEach);
    }
    if (this.#size >= maxStreams) throw tooMany(`${maxStreams} streams are open`, maxStreams);
    this.#size += 1;
    this.#ofAgent.set(agentId, each + 1);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#size -= 1;
      const left = (this.#ofAgent.get(agentId) ?? 1) - 1;
      if (left === 0) this.#ofAgent.delete(agentId);
      else this.#ofAgent.set(agentId, left);
    };
  }
}

function tooMany(what: string, limit: number): FleetError {
  return new FleetError(
    "TOO_MANY_STREAMS",
    `${what}, which is the limit; end one of them, or try again later`,
    {
      metadata: { limit: `${limit}` },
      retryAfterMs: 5_000,
    },
  );
}
