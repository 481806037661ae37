import { create } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import fc from "fast-check";
import { maxResultBytes, ResultAssembly } from "../../../src/control-plane/session/result-assembly.ts";
import { type ResultPart, ResultPartSchema } from "../../../src/gen/fairlead/agent/v1/command_pb.js";

function part(commandId: string, index: number, last: boolean, data: Uint8Array): ResultPart {
  return create(ResultPartSchema, { commandId, index, last, data });
}

const invalid = { name: "FleetError", reason: "INVALID_RESULT" };
const byte = new Uint8Array([1]);
const mebibyte = 1024 * 1024;

describe("ResultAssembly", () => {
  it("S23 gives back what was cut into parts, for several results in any mixture", () => {
    const results = fc.array(fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(results, fc.infiniteStream(fc.nat()), (chunksOf, choices) => {
        const assembly = new ResultAssembly({ maxOpen: 5, maxBytes: 16 * mebibyte });
        const waiting = chunksOf.map((chunks, id) =>
          chunks.map((data, index) => part(`${id}`, index, index === chunks.length - 1, data)),
        );
        const whole = new Map<string, Uint8Array>();
        for (let open = waiting; open.length > 0; open = open.filter((parts) => parts.length > 0)) {
          const next = open[(choices.next().value as number) % open.length]?.shift();
          assert.ok(next);
          const done = assembly.add(next);
          assert.equal(done !== undefined, next.last);
          if (done !== undefined) whole.set(next.commandId, done);
        }
        for (const [id, chunks] of chunksOf.entries()) {
          assert.deepEqual(Buffer.from(whole.get(`${id}`) ?? []), Buffer.concat(chunks));
        }
        assert.equal(assembly.size, 0);
      }),
    );
  });

  it("S23 refuses a gap, a repeat and a start in the middle, and forgets that result", () => {
    const assembly = new ResultAssembly({ maxOpen: 5, maxBytes: 16 * mebibyte });
    assert.throws(() => assembly.add(part("a", 1, false, byte)), invalid);
    assembly.add(part("a", 0, false, byte));
    assert.throws(() => assembly.add(part("a", 2, false, byte)), invalid);
    assert.throws(() => assembly.add(part("a", 1, true, byte)), invalid);
    assembly.add(part("b", 0, false, byte));
    assembly.add(part("b", 1, false, byte));
    assert.throws(() => assembly.add(part("b", 1, true, byte)), invalid);
    assert.equal(assembly.size, 0);
  });

  it("S23 lets a result begin anew, as after a part that was refused", () => {
    const assembly = new ResultAssembly({ maxOpen: 5, maxBytes: 16 * mebibyte });
    assembly.add(part("a", 0, false, new Uint8Array([1])));
    assembly.add(part("a", 0, false, new Uint8Array([2])));
    assert.deepEqual([...(assembly.add(part("a", 1, true, new Uint8Array([3]))) ?? [])], [2, 3]);
  });

  it("S23 takes 4 MiB and refuses a byte more", () => {
    const assembly = new ResultAssembly({ maxOpen: 5, maxBytes: 16 * mebibyte });
    const chunk = new Uint8Array(48 * 1024);
    const full = Math.floor(maxResultBytes / chunk.byteLength);
    const rest = new Uint8Array(maxResultBytes - full * chunk.byteLength);
    for (const id of ["fits", "too-large"]) {
      for (let index = 0; index < full; index += 1) assembly.add(part(id, index, false, chunk));
    }
    assert.equal(assembly.add(part("fits", full, true, rest))?.byteLength, maxResultBytes);
    assembly.add(part("too-large", full, false, rest));
    assert.throws(() => assembly.add(part("too-large", full + 1, true, byte)), invalid);
    assert.equal(assembly.size, 0);
  });

  it("S23 refuses more results at once than it may hold, and says so", () => {
    const assembly = new ResultAssembly({ maxOpen: 2, maxBytes: mebibyte });
    assembly.add(part("a", 0, false, byte));
    assembly.add(part("b", 0, false, byte));
    assert.throws(() => assembly.add(part("c", 0, false, byte)), /2 others/);
    assert.ok(assembly.add(part("a", 1, true, byte)));
    assert.ok(assembly.add(part("c", 0, true, byte)));
  });

  it("S17 refuses more bytes in all than it may hold, whatever number of results they belong to, and goes on with the others", () => {
    const assembly = new ResultAssembly({ maxOpen: 64, maxBytes: 10 });
    const chunk = new Uint8Array(3);
    for (const id of ["a", "b", "c"]) assembly.add(part(id, 0, false, chunk));
    assert.throws(() => assembly.add(part("d", 0, true, chunk)), /larger than 10 bytes/);
    assert.throws(() => assembly.add(part("c", 1, false, chunk)), invalid);
    assert.equal(assembly.bytes, 6);
    // One that begins anew gives back what it had.
    assembly.add(part("b", 0, false, byte));
    assert.equal(assembly.bytes, 4);
    for (const id of ["a", "b"]) assert.ok(assembly.add(part(id, 1, true, byte)));
    assert.equal(assembly.bytes, 0);
  });

  it("S13 forgets a result of which one part breaks a bound", () => {
    const assembly = new ResultAssembly({ maxOpen: 2, maxBytes: mebibyte });
    assembly.add(part("a", 0, false, byte));
    assert.throws(() => assembly.add(part("a", 1, true, byte), "data: too long"), /data: too long/);
    assert.equal(assembly.size, 0);
  });
});
