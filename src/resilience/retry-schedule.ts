/** How often, and how far apart, something is tried. */
export interface RetrySettings {
  /** Tries in all. 1: never again. */
  readonly maxAttempts: number;
  /** Before the second try, in milliseconds, without jitter. */
  readonly initialDelayMs: number;
  /** What each further wait is multiplied by. */
  readonly exponent: number;
  /** The longest wait, in milliseconds, jitter included. */
  readonly maxDelayMs: number;
  /** Each wait is multiplied by something random between these. */
  readonly minJitter: number;
  readonly maxJitter: number;
}

/** 3 attempts, 1 s, doubled, at most 30 s, jitter 0.5 to 1.5. */
export const defaultRetrySettings: RetrySettings = {
  maxAttempts: 3,
  initialDelayMs: 1_000,
  exponent: 2,
  maxDelayMs: 30_000,
  minJitter: 0.5,
  maxJitter: 1.5,
};

/**
 * How long to wait before the next try, in milliseconds, after `attempt` tries (1 for the first). Undefined: not again,
 * because the tries are used up or the wait would pass what is left of the time. It only tells; waiting is the caller's
 * business, because a journaled command waits beyond the life of its caller, and of the process.
 */
export function retryDelayMs(
  attempt: number,
  remainingMs: number,
  settings: RetrySettings,
  random: () => number,
): number | undefined {
  if (attempt >= settings.maxAttempts) return undefined;
  const jitter = settings.minJitter + (settings.maxJitter - settings.minJitter) * random();
  const delayMs = Math.min(
    settings.maxDelayMs,
    settings.initialDelayMs * settings.exponent ** (attempt - 1) * jitter,
  );
  return delayMs < remainingMs ? delayMs : undefined;
}
