/** How far apart tries are. */
export interface BackoffSettings {
  /** Upper bound of the first wait, in milliseconds. */
  readonly baseMs: number;
  /** Upper bound of every wait, in milliseconds. */
  readonly capMs: number;
}

/**
 * How long to wait after that many failures in a row (0 for the first), with full jitter: anything from nothing to
 * `min(cap, base · 2^failures)`, so that a thousand clients which lost one server do not come back in one instant.
 */
export function fullJitterMs(failures: number, settings: BackoffSettings, random: () => number): number {
  return random() * Math.min(settings.capMs, settings.baseMs * 2 ** failures);
}
