import { setTimeout as delay } from "node:timers/promises";
import { createFairlead, type Fairlead } from "../../src/client/create-fairlead.ts";
import { ownUsage } from "./own-usage.ts";
import { answerParent } from "./parent-link.ts";

// Callers of an API that follow something, in a process of their own, over gRPC.

const pollMs = 5;

let fairlead: Fairlead | undefined;
let reading: { readonly ended: Promise<void>; readonly stop: () => void } | undefined;
let bytesRead = 0;
let eventsSeen = 0;

answerParent({
  ...ownUsage,

  connect: ({ server }: { server: string }) => {
    fairlead ??= createFairlead({ server, protocol: "grpc" });
  },

  /** Reads a log from now on, at most so many bytes a second, until `rest`. */
  read: (log: LogToRead) => {
    const stopping = new AbortController();
    const ended = read(client(), log, stopping.signal);
    reading = { ended, stop: () => stopping.abort() };
    // Told by `rest`.
    ended.catch(() => undefined);
  },

  bytesRead: () => bytesRead,

  rest: async () => {
    reading?.stop();
    await reading?.ended;
    reading = undefined;
  },

  /** Follows the fleet's events from now on. */
  watch: async () => {
    const following = client().events.watchEvents({ maxBatchSize: 256 })[Symbol.asyncIterator]();
    await following.next();
    void count(following);
  },

  /** Waits until so many events have been seen in all. */
  seen: async ({ events, withinMs }: { events: number; withinMs: number }) => {
    const late = AbortSignal.timeout(withinMs);
    for (;;) {
      if (eventsSeen >= events) return;
      if (late.aborted) throw new Error(`${eventsSeen} of ${events} events were seen within ${withinMs} ms`);
      await delay(pollMs);
    }
  },

  eventsSeen: () => eventsSeen,
});

/** A log, and how fast it is to be read. */
export interface LogToRead {
  readonly host: string;
  readonly container: string;
  /** Undefined: as fast as it comes. */
  readonly bytesPerSecond: number | undefined;
}

function client(): Fairlead {
  if (fairlead === undefined) throw new TypeError("not connected");
  return fairlead;
}

async function read(
  { logs }: Fairlead,
  { host, container, bytesPerSecond }: LogToRead,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  const bytesBefore = bytesRead;
  try {
    for await (const { message } of logs.streamLogs({ host, container, follow: true }, { signal })) {
      if (message.case !== "batch") continue;
      for (const { data } of message.value.records) bytesRead += data.byteLength;
      if (bytesPerSecond === undefined) continue;
      const early = ((bytesRead - bytesBefore) * 1000) / bytesPerSecond - (performance.now() - startedAt);
      if (early > 1) await delay(early, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function count(messages: AsyncIterator<{ readonly events: readonly unknown[] }>): Promise<void> {
  for (;;) {
    const next = await messages.next();
    if (next.done === true) return;
    eventsSeen += next.value.events.length;
  }
}
