import type { Socket } from "node:net";

/** What a client speaks on a fresh plaintext connection. */
export type HttpVersion = "http1" | "http2";

// RFC 9113, section 3.4. No method of HTTP/1.1 begins like this.
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Looks at the first bytes of a connection, as few as tell, and calls `decided` with what they are. By then the
 * socket is paused, all its bytes are still to be read, and nobody listens to it. A connection that ends, breaks or
 * says too little for `timeoutMs` is destroyed, and `decided` is never called.
 */
export function sniffHttpVersion(
  socket: Socket,
  timeoutMs: number,
  decided: (version: HttpVersion) => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("data", onData);
    socket.off("end", onEnd);
    socket.off("close", stop);
  };
  const onEnd = (): void => {
    socket.destroy();
  };
  const onData = (chunk: Buffer): void => {
    seen = seen.byteLength === 0 ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.byteLength, preface.byteLength);
    const isPreface = seen.subarray(0, compared).equals(preface.subarray(0, compared));
    if (isPreface && compared < preface.byteLength) return;
    stop();
    socket.pause();
    socket.unshift(seen);
    decided(isPreface ? "http2" : "http1");
  };
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("close", stop);
}
