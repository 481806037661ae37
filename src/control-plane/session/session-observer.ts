import type { Reason } from "../../domain/errors.ts";

/** Who counts what happens to agents' streams. None of the calls may throw. */
export interface SessionObserver {
  /** A session began. */
  opened(): void;
  /** A session ended. */
  ended(reason: Reason): void;
  /** A stream ended before it had a session. */
  refused(reason: Reason): void;
  /** An item of a frame broke a bound and was left out; `item` is one of the few kinds that a frame has. */
  itemRefused(item: string): void;
}

/** Counts nothing. */
export const unobservedSessions: SessionObserver = {
  opened: () => undefined,
  ended: () => undefined,
  refused: () => undefined,
  itemRefused: () => undefined,
};
