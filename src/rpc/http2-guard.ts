import { constants } from "node:http2";
import type { ServerHttp2Session, Settings } from "node:http2";
import type { CutCause } from "./cut-connections.ts";

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

/** How patient a guard is, and whom it tells. */
export interface SessionGuard {
  /** For the first frame of a client, in milliseconds. */
  readonly firstFrameMs: number;
  /** With a connection without streams, in milliseconds. Without: that is somebody else's to see to. */
  readonly idleMs?: number;
  /** A session was ended for what was sent on it, and not because the network or its time was over. */
  readonly onCut: (cause: CutCause, address: string) => void;
}

const windowMs = 10_000;
const maxPings = 100;
// Some clients, gRPC's in Go and Java among them, measure the way with a PING for each piece of an answer. The smallest piece has 16 bytes, and what
// acknowledges its PING has 17, which alone pay for none.
const bytesSentForOnePing = 32;
// Whatever was sent: 5,000 a second are more than any client measures.
const maxPaidPings = 50_000;
const maxSettingsFrames = 20;
const farewellMs = 10_000;

/** Why the guard ends a session. */
class SessionFlood extends Error {
  readonly flood: CutCause;

  constructor(flood: CutCause) {
    super(`too many frames: ${flood}`);
    this.flood = flood;
  }
}

/**
 * Ends a session that says nothing at first, that has no streams for too long, or that floods with PING or SETTINGS frames, which cost
 * their sender less than the answers cost us. Floods of other frames are ended by nghttp2 and Node; those, too, are told of.
 */
export function guardSession(
  session: ServerHttp2Session,
  { firstFrameMs, idleMs, onCut }: SessionGuard,
): void {
  const address = session.socket.remoteAddress ?? "";
  endSilent(session, firstFrameMs);
  session.on("error", (error: Error) => {
    const cause = causeOf(error);
    if (cause !== undefined) onCut(cause, address);
  });
  countFrames(session);
  if (idleMs !== undefined) endIdle(session, idleMs);
}

/** Undefined: the connection broke. */
function causeOf(error: NodeJS.ErrnoException): CutCause | undefined {
  if (error instanceof SessionFlood) return error.flood;
  return error.code?.startsWith("ERR_HTTP2_") === true ? "protocol" : undefined;
}

// Once it has spoken nothing of the wait stays with the session: thousands of them are idle.
function endSilent(session: ServerHttp2Session, firstFrameMs: number): void {
  const timer = setTimeout(() => session.destroy(), firstFrameMs).unref();
  const onOver = () => {
    clearTimeout(timer);
    session.off("remoteSettings", onOver).off("close", onOver);
  };
  session.on("remoteSettings", onOver).on("close", onOver);
}

function calm(session: ServerHttp2Session, flood: CutCause): void {
  session.destroy(new SessionFlood(flood), constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

function countFrames(session: ServerHttp2Session): void {
  const { socket } = session;
  let window = { begun: performance.now(), pings: 0, settings: 0, sentBefore: 0, sent: 0 };
  const current = () => {
    const now = performance.now();
    if (now < window.begun + windowMs) return window;
    // A PING that was paid for at the end of a window comes in the next one.
    window = { begun: now, pings: 0, settings: 0, sentBefore: window.sent, sent: socket.bytesWritten };
    return window;
  };
  session.on("remoteSettings", () => {
    const counted = current();
    counted.settings += 1;
    if (counted.settings > maxSettingsFrames) calm(session, "settings_flood");
  });
  session.on("ping", () => {
    const counted = current();
    counted.pings += 1;
    if (counted.pings <= maxPings) return;
    const paid = (socket.bytesWritten - counted.sentBefore) / bytesSentForOnePing;
    if (counted.pings > maxPings + Math.min(paid, maxPaidPings)) calm(session, "ping_flood");
  });
}

function endIdle(session: ServerHttp2Session, idleMs: number): void {
  let farewell: NodeJS.Timeout | undefined;
  let openStreams = 0;
  session.on("stream", (stream) => {
    openStreams += 1;
    stream.once("close", () => (openStreams -= 1));
  });
  session.setTimeout(idleMs, () => {
    if (openStreams > 0) return;
    session.close();
    // One whose peer does not read would not end.
    farewell ??= setTimeout(() => session.destroy(), farewellMs).unref();
  });
  session.once("close", () => clearTimeout(farewell));
}
