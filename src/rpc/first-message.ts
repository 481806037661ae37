import { constants, type ServerHttp2Stream } from "node:http2";

/** How long the first message of a stream may say that it is: a Hello of 64 KiB, which is the longest, and what is around it. */
export const maxFirstMessageBytes = 65 * 1024;

// gRPC's length-prefixed message: whether it is compressed, and its length.
const prefixBytes = 5;

/**
 * Resets a stream of gRPC whose first message says that it is longer, before it is read: strangers may open hundreds, and what is read of a
 * message is kept until all of it is there. Does not read by itself, and lets go of the stream once the length is known. To be called once
 * somebody reads the stream, in the turn in which it was opened.
 */
export function limitFirstMessage(stream: ServerHttp2Stream): void {
  let prefix: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    prefix = Buffer.concat([prefix, chunk.subarray(0, prefixBytes - prefix.byteLength)]);
    if (prefix.byteLength < prefixBytes) return;
    stream.off("data", onData);
    if (prefix.readUInt32BE(1) > maxFirstMessageBytes) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
  stream.on("data", onData);
}
