/** Bytes of messages, by their direction. */
export interface Carried {
  /** From the agent. */
  readonly upBytes: number;
  /** To the agent. */
  readonly downBytes: number;
}

/** What the streams of one kind do, and have done. */
export interface KindOfTraffic extends Carried {
  /** The operation that asked for them, as the schema names it. */
  readonly kind: string;
  readonly open: number;
}

interface Kind {
  readonly open: Set<{ readonly carried: Carried }>;
  endedUpBytes: number;
  endedDownBytes: number;
}

/** What data streams carry, by kind. Costs nothing while they do: what is open is asked when somebody wants to know. */
export class StreamTraffic {
  readonly #kinds = new Map<string, Kind>();

  /** Counts a stream. Returns how to count it as ended, to be called once. */
  begin(kind: string, stream: { readonly carried: Carried }): () => void {
    const known = this.#kinds.get(kind) ?? { open: new Set(), endedUpBytes: 0, endedDownBytes: 0 };
    this.#kinds.set(kind, known);
    known.open.add(stream);
    return () => {
      known.open.delete(stream);
      known.endedUpBytes += stream.carried.upBytes;
      known.endedDownBytes += stream.carried.downBytes;
    };
  }

  /** Every kind that there has been. */
  kinds(): KindOfTraffic[] {
    return [...this.#kinds].map(([kind, { open, endedUpBytes, endedDownBytes }]) => {
      const live = [...open].map(({ carried }) => carried);
      return {
        kind,
        open: open.size,
        upBytes: live.reduce((sum, { upBytes }) => sum + upBytes, endedUpBytes),
        downBytes: live.reduce((sum, { downBytes }) => sum + downBytes, endedDownBytes),
      };
    });
  }
}
