import { constants } from "node:http2";
import type { ServerHttp2Session, Settings } from "node:http2";

/** What a session of HTTP/2 may ask for. Node and nghttp2 hold it to this; the defaults of both are wider or not stated. */
export const http2Limits = {
  settings: {
    // Without a limit of its own, HTTP/2 allows 4,294,967,295 streams a connection.
    maxConcurrentStreams: 1024,
    // As much as HTTP/1.1 may have. Also how long a header may get over many CONTINUATION frames.
    maxHeaderListSize: 16 * 1024,
  } satisfies Settings,
  /** Megabytes. */
  maxSessionMemory: 64,
  maxHeaderListPairs: 100,
  maxSettings: 32,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  // A client may take back many calls at once, but not for long: CVE-2023-44487.
  streamResetBurst: 1000,
  streamResetRate: 33,
};

/** How patient a guard is. All in milliseconds. */
export interface Http2Patience {
  /** For the first frame of a client. */
  readonly firstFrameMs: number;
  /** With a connection without streams. */
  readonly idleMs: number;
}

const windowMs = 10_000;
// Some clients measure the way with a PING for each answer that they get, so that many are honest where there are streams.
const maxPings = { quiet: 100, busy: 50_000 };
const maxSettingsFrames = 20;
const farewellMs = 10_000;

/**
 * Ends a session that says nothing at first, that has no streams for too long, or that floods with PING or SETTINGS frames, which cost
 * their sender less than the answers cost us.
 */
export function guardSession(session: ServerHttp2Session, patience: Http2Patience): void {
  const firstFrame = setTimeout(() => session.destroy(), patience.firstFrameMs).unref();
  let farewell: NodeJS.Timeout | undefined;
  let openStreams = 0;
  let window = { begun: performance.now(), pings: 0, settings: 0, busy: false };
  const current = () => {
    const now = performance.now();
    if (now >= window.begun + windowMs) window = { begun: now, pings: 0, settings: 0, busy: openStreams > 0 };
    return window;
  };
  const calm = () => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  session.on("remoteSettings", () => {
    clearTimeout(firstFrame);
    const counted = current();
    counted.settings += 1;
    if (counted.settings > maxSettingsFrames) calm();
  });
  session.on("ping", () => {
    const counted = current();
    counted.pings += 1;
    if (counted.pings > (counted.busy ? maxPings.busy : maxPings.quiet)) calm();
  });
  session.on("stream", (stream) => {
    openStreams += 1;
    current().busy = true;
    stream.once("close", () => (openStreams -= 1));
  });
  session.setTimeout(patience.idleMs, () => {
    if (openStreams > 0) return;
    session.close();
    // One whose peer does not read would not end.
    farewell ??= setTimeout(() => session.destroy(), farewellMs).unref();
  });
  session.once("close", () => {
    clearTimeout(firstFrame);
    clearTimeout(farewell);
  });
}
