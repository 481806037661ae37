import type { Reason } from "../../domain/errors.ts";

/** Is told what becomes of data streams. Must not throw. */
export interface StreamObserver {
  /** A caller did not get the stream that it asked for. */
  notOpened(kind: string, reason: Reason): void;
  /** An agent opened a stream that nobody had asked for, or in a wrong way. */
  refused(reason: Reason): void;
}
