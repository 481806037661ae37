import { EventEmitter } from "node:events";
import { queryObjects } from "node:v8";
import { TimerWheel } from "../../src/resilience/timer-wheel.ts";

/** What is alive in a process once nothing can be collected any more. */
export interface Census {
  /** How many there are of each kind of object. */
  readonly objects: Readonly<Record<"functions" | "emitters" | "wheelTimers" | "all", number>>;
  /** Bytes of the heap and of what it holds outside. */
  readonly heapBytes: number;
}

/**
 * Counts what is alive in this process, whoever holds it: listeners and closures of timers are functions; sockets, connections, streams and calls are
 * emitters; and no map grows without objects or bytes. Takes seconds. Needs `--expose-gc`.
 */
export function takeCensus(): Census {
  if (gc === undefined) throw new Error("start Node with --expose-gc");
  const objects = {
    functions: countOf(Function),
    emitters: countOf(EventEmitter),
    wheelTimers: countOf(wheelTimerKind()),
    all: countOf(Object),
  };
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return { objects, heapBytes: heapUsed + external };
}

type Kind = Parameters<typeof queryObjects>[0];

function countOf(kind: Kind): number {
  return queryObjects(kind, { format: "count" });
}

// The class is the wheel's own affair.
function wheelTimerKind(): Kind {
  const timer = new TimerWheel().schedule(0, () => undefined);
  timer.cancel();
  return timer.constructor;
}
