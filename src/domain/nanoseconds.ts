/** A moment in the two numbers that protobuf's Timestamp has. */
export interface SecondsAndNanos {
  readonly seconds: bigint;
  readonly nanos: number;
}

const nsPerSecond = 1_000_000_000n;

/** A moment as one number: nanoseconds since the epoch. */
export function nsFromSeconds({ seconds, nanos }: SecondsAndNanos): bigint {
  return seconds * nsPerSecond + BigInt(nanos);
}

/** Nanoseconds since the epoch, which is not before it, as two numbers. */
export function secondsFromNs(timeNs: bigint): SecondsAndNanos {
  return { seconds: timeNs / nsPerSecond, nanos: Number(timeNs % nsPerSecond) };
}
