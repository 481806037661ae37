/** How calls are driven. */
export interface Drive {
  /** What each caller does again and again, one call at a time. */
  readonly callers: readonly (() => Promise<unknown>)[];
  /** How long to run before anything is counted. */
  readonly warmUpMs: number;
  /** How long new calls are begun after that. */
  readonly countedMs: number;
}

/** What a drive gave. */
export interface Driven {
  /** Calls that ended well for each second. */
  readonly perSecond: number;
  /** How much processor time this process spent on each of them, in microseconds. Other work on the machine spoils it least. */
  readonly processorMicros: number;
  /** How long each counted call took, in milliseconds. Only for a single caller, otherwise empty. */
  readonly latenciesMs: readonly number[];
}

/**
 * Lets every caller call without a pause, and counts until the last call has ended: calls that travel together end together,
 * so that a fixed end of the counting would fall before or behind a whole bunch of them. Rejects with the first error of
 * a call: a measurement in which something fails is none.
 */
export async function drive({ callers, warmUpMs, countedMs }: Drive): Promise<Driven> {
  const begin = performance.now() + warmUpMs;
  const end = begin + countedMs;
  const latenciesMs: number[] = [];
  const isSingle = callers.length === 1;
  let count = 0;
  let usedBefore = process.cpuUsage();
  const begun = setTimeout(() => (usedBefore = process.cpuUsage()), warmUpMs);
  await Promise.all(
    callers.map(async (call) => {
      for (let start = performance.now(); start < end; ) {
        await call();
        const now = performance.now();
        if (start >= begin && isSingle) latenciesMs.push(now - start);
        if (now >= begin) count += 1;
        start = now;
      }
    }),
  );
  clearTimeout(begun);
  const used = process.cpuUsage(usedBefore);
  return {
    perSecond: (count * 1000) / (performance.now() - begin),
    processorMicros: (used.user + used.system) / count,
    latenciesMs,
  };
}
