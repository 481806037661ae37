import type { FleetError } from "../../domain/errors.ts";
import { fullJitterMs } from "../../resilience/backoff.ts";
import { adviceOn } from "./refusals.ts";

/** How a session, or the attempt at one, ended. */
export interface SessionEnd {
  readonly error: FleetError;
  /** How long it lived after its welcome, in milliseconds. Undefined: it never began. */
  readonly livedMs: number | undefined;
  /** The control plane announced its end and wants its agents back within this time, in milliseconds. */
  readonly drainMs: number | undefined;
}

/** What to do after the end of a session. */
export type NextStep =
  /** Enrolment was refused: a person has to do something first. */
  | { readonly kind: "stop"; readonly advice: string }
  /** Wait and try again. `failures` is what to hand in the next time. */
  | {
      readonly kind: "wait";
      readonly ms: number;
      readonly failures: number;
      readonly advice: string | undefined;
    };

const backoff = { baseMs: 200, capMs: 30_000 };
const hourMs = 3_600_000;
// A session that dies younger than this may be part of the trouble: it does not calm the backoff.
const settledMs = 30_000;

/**
 * Decides what follows the end of a session. `failures`: ends in a row without a session that lived 30 s. `enrolled`: a
 * present identity is worth trying again, a refused token is not.
 */
export function afterSession(
  end: SessionEnd,
  failures: number,
  enrolled: boolean,
  random: () => number,
): NextStep {
  const advice = adviceOn(end.error);
  if (advice !== undefined && !enrolled) return { kind: "stop", advice };
  const calm = end.livedMs !== undefined && end.livedMs >= settledMs ? 0 : failures;
  const wait = (ms: number): NextStep => ({ kind: "wait", ms, failures: calm + 1, advice });
  if (advice !== undefined) return wait(Math.max(hourMs, end.error.retryAfterMs ?? 0) * (1 + random() / 10));
  if (end.drainMs !== undefined) return wait(random() * end.drainMs);
  return wait((end.error.retryAfterMs ?? 0) + fullJitterMs(calm, backoff, random));
}
