import type { Child } from "./child.ts";
import type { Usage } from "./own-usage.ts";

const usualMs = 200;

/** What some processes used while something went on, each in its place. */
export interface Used {
  /** The most that was resident at any look, in bytes. */
  readonly peakBytes: readonly number[];
  /** Processor time in milliseconds. */
  readonly processorMs: readonly number[];
}

/** Looks at processes again and again, in milliseconds, while `work` goes on. Resolves to what it gave and to what they used. */
export async function whileWatching<Value>(
  children: readonly Child[],
  work: () => Promise<Value>,
  everyMs = usualMs,
): Promise<{ readonly value: Value; readonly used: Used }> {
  const look = () => Promise.all(children.map((child) => child.ask<Usage>("usage")));
  const before = await look();
  const peakBytes = before.map(({ residentBytes }) => residentBytes);
  let looking: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    looking = looking.then(look).then(
      (seen) =>
        seen.forEach(
          ({ residentBytes }, at) => (peakBytes[at] = Math.max(peakBytes[at] ?? 0, residentBytes)),
        ),
      // Whoever ended will be missed below.
      () => undefined,
    );
  }, everyMs);
  try {
    const value = await work();
    const after = await look();
    const processorMs = after.map(
      ({ processorMicros }, at) => (processorMicros - (before[at]?.processorMicros ?? 0)) / 1000,
    );
    return { value, used: { peakBytes, processorMs } };
  } finally {
    clearInterval(timer);
    await looking;
  }
}
