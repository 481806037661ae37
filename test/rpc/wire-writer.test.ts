import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import assert from "node:assert/strict";
import { WireWriter } from "../../src/rpc/wire-writer.ts";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .tuple(fc.constantFrom("a", "é", "\u{1f600}"), fc.integer({ min: 0, max: 20_000 }))
    .map(([unit, times]) => unit.repeat(times)),
);

describe("WireWriter", () => {
  it("writes what the library reads, whatever its length, in messages that leave each other alone", () => {
    const message = fc.record({
      number: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      long: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      double: fc.double(),
      text,
      bytes: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 8 }), (contents) => {
        const writer = new WireWriter();
        const written = contents.map(({ number, long, double, text: words, bytes }) => {
          const outer = writer.begin().tag(1, WireType.LengthDelimited).fork();
          const inner = writer.tag(2, WireType.LengthDelimited).fork();
          writer.uint32(number).int64(long).double(double).string(words).bytes(bytes);
          return writer.join(inner).join(outer).finish();
        });
        for (const [index, content] of contents.entries()) {
          const reader = new BinaryReader(written[index] ?? new Uint8Array());
          assert.deepEqual(reader.tag(), [1, WireType.LengthDelimited]);
          assert.equal(reader.uint32(), reader.len - reader.pos);
          assert.deepEqual(reader.tag(), [2, WireType.LengthDelimited]);
          assert.equal(reader.uint32(), reader.len - reader.pos);
          assert.equal(reader.uint32(), content.number);
          assert.equal(reader.int64(), content.long);
          assert.deepEqual(reader.double(), content.double);
          assert.equal(reader.string(), content.text);
          assert.deepEqual(Uint8Array.from(reader.bytes()), content.bytes);
          assert.equal(reader.pos, reader.len);
        }
      }),
    );
  });

  it("keeps no more memory for a large message than it has bytes", () => {
    const large = new WireWriter().begin().string("x".repeat(100_000)).finish();
    assert.equal(large.buffer.byteLength, large.byteLength);
  });
});
