import { brotliCompressSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { flags, frame, frameTypes, headerBlock, preface, uint32 } from "./http2-frames.ts";

/** What is sent over a fresh connection, in pieces. */
export interface HostileBytes {
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
}

/** A request whose body is not what its head promises. */
export interface HostileBody {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const odd32 = fc.constantFrom(0, 1, 2, 3, 5, 0x7f_ff_ff_ff, 0x80_00_00_00, 0xff_ff_ff_ff);
const junk = fc.uint8Array({ maxLength: 300 });

/** Bytes with some of them overwritten. */
function mutated(bytes: Uint8Array, changes: readonly { at: number; byte: number }[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const { at, byte } of changes) copy[at % copy.byteLength] = byte;
  return copy;
}

const changes = fc.array(fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) }), { maxLength: 6 });

/** Splits bytes into at most four pieces. */
const cut = (bytes: Uint8Array): fc.Arbitrary<readonly Uint8Array[]> =>
  fc
    .array(fc.nat({ max: bytes.byteLength }), { maxLength: 3 })
    .map((places) => [0, ...places.toSorted((one, other) => one - other), bytes.byteLength])
    .map((places) => places.slice(1).map((end, index) => bytes.subarray(places[index], end)));

function http1(path: string, key: string): fc.Arbitrary<Uint8Array> {
  const line = fc.constantFrom(
    `POST ${path} HTTP/1.1`,
    `GET ${path}?message=%7B%7D&encoding=json HTTP/1.1`,
    `POST ${path} HTTP/1.0`,
    "OPTIONS * HTTP/1.1",
    "GET /metrics HTTP/1.1",
    "CONNECT a:1 HTTP/1.1",
    `POST ${path}?${"q".repeat(20_000)} HTTP/1.1`,
  );
  const header = fc.constantFrom(
    "Host: a",
    `Authorization: Bearer ${key}`,
    "Content-Type: application/json",
    "Content-Type: application/grpc-web",
    "Content-Length: 2",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked, gzip",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Connection: Upgrade, HTTP2-Settings",
    "Connect-Timeout-Ms: -1",
    `X-Long: ${"y".repeat(30_000)}`,
    "X-Odd: \u0001",
  );
  const body = fc.constantFrom("{}", "2\r\n{}\r\n0\r\n\r\n", "fffffffffffffff\r\n", "-1\r\n{}\r\n", "");
  return fc
    .tuple(line, fc.array(header, { maxLength: 8 }), body)
    .map(([first, headers, last]) => Buffer.from([first, ...headers, "", last].join("\r\n"), "latin1"));
}

function http2(path: string, key: string): fc.Arbitrary<Uint8Array> {
  const request = headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "a",
    "content-type": "application/grpc",
    authorization: `Bearer ${key}`,
  });
  const payload = fc.oneof(
    fc.constant(request),
    fc.constant(Buffer.from([0, 0, 0, 0, 0])),
    odd32.map((value) => uint32(value)),
    fc.tuple(odd32, odd32).map(([one, other]) => Buffer.concat([uint32(one), uint32(other)])),
    odd32.map((value) => Buffer.concat([Buffer.from([0, 4]), uint32(value)])),
    junk,
  );
  const one = fc
    .record({
      type: fc.constantFrom(...Object.values(frameTypes), 10, 255),
      flag: fc.constantFrom(0, 1, 4, 5, 8, 0x20, 0xff),
      streamId: fc.constantFrom(0, 1, 1, 1, 2, 3, 0x7f_ff_ff_ff),
      payload,
    })
    .map((each) => frame(each.type, each.flag, each.streamId, each.payload));
  const call = fc.constant(frame(frameTypes.headers, flags.endHeaders, 1, request));
  return fc
    .tuple(fc.boolean(), fc.array(fc.oneof(one, call), { minLength: 1, maxLength: 10 }))
    .map(([polite, frames]) =>
      Buffer.concat([preface, polite ? frame(frameTypes.settings, 0, 0) : Buffer.alloc(0), ...frames]),
    );
}

/** Bytes of every kind that may hurt a port that speaks HTTP/1.1 and HTTP/2. */
export function hostileBytes(path: string, key: string): fc.Arbitrary<HostileBytes> {
  const kinds = fc.oneof(
    fc.record({
      name: fc.constant("random bytes"),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
    }),
    fc.record({
      name: fc.constant("random bytes after a preface"),
      bytes: junk.map((bytes) => Buffer.concat([preface, bytes])),
    }),
    fc.record({ name: fc.constant("HTTP/1.1"), bytes: http1(path, key) }),
    fc.record({ name: fc.constant("HTTP/2"), bytes: http2(path, key) }),
  );
  return fc
    .tuple(kinds, changes)
    .chain(([{ name, bytes }, changed]) =>
      cut(mutated(bytes, changed)).map((pieces) => ({ name, pieces: [...pieces] })),
    );
}

const bombBytes = 64 * 1024 * 1024;
const zeros = Buffer.alloc(bombBytes);
const bombs = { gzip: gzipSync(zeros, { level: 1 }), br: brotliCompressSync(zeros) };

const jsonBombs = [
  "[".repeat(200_000),
  '{"host":'.repeat(50_000),
  `{"host":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
  `{"host":"${"\\u0000".repeat(100_000)}"}`,
  `{"pageSize":1e999,"__proto__":{"a":1},"constructor":null}`,
  `{${Array.from({ length: 50_000 }, (_none, at) => `"k${at}":0`).join(",")}}`,
].map((text) => Buffer.from(text));

function envelope(flag: number, length: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([flag]), uint32(length), payload]);
}

/** Bodies that lie about their length or compression, or grow without measure once they are read. */
export function hostileBodies(path: string, key: string): fc.Arbitrary<HostileBody> {
  const payload = fc.oneof(
    junk,
    fc.constantFrom<Uint8Array>(...jsonBombs, bombs.gzip, bombs.br, Buffer.from("{}")),
  );
  const enveloped = fc
    .tuple(fc.constantFrom(0, 1, 2, 3, 128, 129, 255), payload, fc.constantFrom(-1, 0, 1, undefined), odd32)
    .map(([flag, bytes, off, odd]) =>
      envelope(flag, off === undefined ? odd : bytes.byteLength + off, bytes),
    );
  const type = fc.constantFrom(
    "application/json",
    "application/proto",
    "application/connect+json",
    "application/grpc",
    "application/grpc+json",
    "application/grpc-web",
    "application/grpc-web+json",
    "application/grpc-web-text",
  );
  const encoding = fc.constantFrom<Record<string, string>>(
    {},
    { "content-encoding": "gzip", "grpc-encoding": "gzip", "connect-content-encoding": "gzip" },
    { "content-encoding": "br", "grpc-encoding": "br", "connect-content-encoding": "br" },
    { "content-encoding": "zstd", "grpc-encoding": "identity" },
    { "grpc-timeout": "99999999H", "connect-timeout-ms": "99999999999" },
  );
  return fc
    .tuple(type, encoding, fc.oneof(payload, enveloped), fc.boolean())
    .map(([kind, coded, body, known]) => ({
      path,
      headers: { "content-type": kind, ...coded, ...(known ? { authorization: `Bearer ${key}` } : {}) },
      body,
    }));
}
