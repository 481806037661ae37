import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { readPage } from "../../src/control-plane/services/page.ts";
import { apiKeyText, parseApiKey } from "../../src/domain/api-key.ts";
import { FleetError } from "../../src/domain/errors.ts";
import { newId } from "../../src/domain/ids.ts";
import { ListHostsRequestSchema } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { sniffHttpVersion } from "../../src/rpc/http-sniffer.ts";
import { preface } from "../support/http2-frames.ts";

/** A socket as the sniffer uses one. */
class Pipe extends EventEmitter {
  unread: Buffer = Buffer.alloc(0);
  destroyed = false;
  pause(): void {}
  unshift(bytes: Buffer): void {
    this.unread = bytes;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

/** What the sniffer says of bytes that come in pieces, and whether nothing of them was lost. */
function sniffed(bytes: Buffer, sizes: readonly number[]): { version: string | undefined; isWhole: boolean } {
  const pipe = new Pipe();
  const decisions: string[] = [];
  sniffHttpVersion(pipe as unknown as Socket, 60_000, (decided) => void decisions.push(decided));
  let sent = 0;
  for (let piece = 0; sent < bytes.byteLength && decisions.length === 0; piece += 1) {
    const end = sent + (sizes[piece % sizes.length] ?? 1);
    pipe.emit("data", bytes.subarray(sent, end));
    sent = Math.min(end, bytes.byteLength);
  }
  const [version] = decisions;
  const isWhole = version === undefined || pipe.unread.equals(bytes.subarray(0, sent));
  pipe.destroy();
  assert.equal(pipe.listenerCount("data") + pipe.listenerCount("end"), 0);
  return { version, isWhole };
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });

describe("decoders of what strangers send", () => {
  it("V09 the version of HTTP is told by the whole preface, in whatever pieces it comes, and no byte is lost", () => {
    fc.assert(
      fc.property(sizes, fc.uint8Array({ maxLength: 60 }), (pieces, more) => {
        const bytes = Buffer.concat([preface, more]);
        assert.deepEqual(sniffed(bytes, pieces), { version: "http2", isWhole: true });
      }),
    );
    fc.assert(
      fc.property(
        sizes,
        fc.nat({ max: preface.byteLength - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (pieces, at, by) => {
          const bytes = Buffer.from(preface);
          bytes.writeUInt8(bytes.readUInt8(at) ^ by, at);
          assert.deepEqual(sniffed(bytes, pieces), { version: "http1", isWhole: true });
          assert.equal(sniffed(preface.subarray(0, at), pieces).version, undefined, "too little to tell");
        },
      ),
    );
  });

  it("V09 an API key is taken apart into what it was put together from, and any other text is none", () => {
    const secret = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString("base64url"));
    fc.assert(
      fc.property(
        secret,
        fc.nat(),
        fc.string({ unit: "binary", minLength: 1, maxLength: 3 }),
        (text, at, odd) => {
          const parts = { id: newId(), secret: text };
          const key = apiKeyText(parts);
          assert.deepEqual(parseApiKey(key), parts);
          const place = at % (key.length + 1);
          assert.equal(parseApiKey(key.slice(0, place) + odd + key.slice(place)), undefined);
          assert.equal(parseApiKey(key.slice(0, place % key.length)), undefined);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => assert.equal(parseApiKey(text), undefined)),
    );
  });

  it("V09 a page token that no list gave out is refused as such, whatever it is", async () => {
    const request = create(ListHostsRequestSchema);
    const list = {
      fields: { name: "string", id: "string" } as const,
      position: (item: { name: string; id: string }) => item,
      read: () => assert.fail("it was read by a forged position"),
    };
    const token = fc.oneof(
      fc.string({ unit: "binary", minLength: 1 }),
      fc.json().map((text) => Buffer.from(text).toString("base64url")),
      fc
        .tuple(fc.string(), fc.record({ name: fc.anything(), id: fc.string() }))
        .map((parts) =>
          Buffer.from(
            JSON.stringify(parts, (_key, value: unknown) => (typeof value === "bigint" ? 0 : value)),
          ).toString("base64url"),
        ),
      fc.constant(Buffer.from("[".repeat(100_000)).toString("base64url")),
    );
    await fc.assert(
      fc.asyncProperty(token, async (pageToken) => {
        const refused = readPage(ListHostsRequestSchema, { ...request, pageToken }, list);
        await assert.rejects(
          refused,
          (error: unknown) => error instanceof FleetError && error.reason === "INVALID_PAGE_TOKEN",
        );
      }),
    );
  });
});
