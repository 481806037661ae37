import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";

const randomBytesEach = 16;

// Asking the system for random bytes each time cost a fifteenth of the time of a command.
const pool = new Uint8Array(256 * randomBytesEach);
let taken = pool.byteLength;
let latestMs = 0;
let sequence = 0;

/**
 * A new id: UUIDv7 (RFC 9562) in its usual form of 36 characters. Ids sort by the time they were made, so that they
 * serve as keys of pages as well.
 */
export function newId(): string {
  const random = nextRandomBytes();
  const now = Date.now();
  if (now > latestMs) {
    latestMs = now;
    sequence = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1;
  } else {
    // Within a millisecond, or while the clock goes back; after so many that the counter is full, ahead of the clock.
    sequence = (sequence + 1) >>> 0;
    if (sequence === 0) latestMs += 1;
  }
  return v7({ random, msecs: latestMs, seq: sequence });
}

function nextRandomBytes(): Uint8Array {
  if (taken === pool.byteLength) {
    randomFillSync(pool);
    taken = 0;
  }
  const start = taken;
  taken += randomBytesEach;
  return pool.subarray(start, taken);
}
