import assert from "node:assert/strict";
import { randomBytes, sign } from "node:crypto";
import fc from "fast-check";
import { provesKey } from "../../../src/control-plane/enrolment/hello-proof.ts";
import { rawIdentity } from "../../support/raw-agent.ts";

const context = Buffer.from("fairlead-hello-v1\0");
const identity = rawIdentity();

function proof(hello: Uint8Array, nonce: Uint8Array) {
  const signature = sign(null, Buffer.concat([context, nonce, hello]), identity.privateKey);
  return { publicKey: identity.publicKey, nonce, hello, signature };
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Buffer.from(bytes);
  const at = bit % (copy.byteLength * 8);
  copy[at >> 3] = (copy[at >> 3] ?? 0) ^ (1 << (at & 7));
  return copy;
}

describe("provesKey", () => {
  it("E07 accepts a signature over context, challenge and hello, whatever the hello is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (hello) => {
        assert.equal(await provesKey(proof(hello, randomBytes(32))), true);
      }),
      { numRuns: 30 },
    );
  });

  it("E07 refuses it when one bit of key, challenge, hello or signature is another", async () => {
    const parts = fc.constantFrom(
      "publicKey" as const,
      "nonce" as const,
      "hello" as const,
      "signature" as const,
    );
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), async (part, bit) => {
        const good = proof(randomBytes(50), randomBytes(32));
        assert.equal(await provesKey({ ...good, [part]: flipped(good[part], bit) }), false);
      }),
      { numRuns: 100 },
    );
  });

  it("E07 refuses a signature without the context, and one whose challenge and hello are cut elsewhere", async () => {
    const [hello, nonce] = [randomBytes(50), randomBytes(32)];
    const bare = sign(null, Buffer.concat([nonce, hello]), identity.privateKey);
    assert.equal(await provesKey({ ...proof(hello, nonce), signature: bare }), false);
    assert.equal(
      await provesKey(proof(Buffer.concat([nonce.subarray(31), hello]), nonce.subarray(0, 31))),
      true,
    );
    const other = randomBytes(32);
    assert.equal(await provesKey({ ...proof(hello, nonce), nonce: other }), false);
  });

  it("E07 counts a key or a signature of the wrong length as no proof, and does not throw", async () => {
    const good = proof(randomBytes(50), randomBytes(32));
    for (const length of [0, 31, 33]) {
      assert.equal(await provesKey({ ...good, publicKey: randomBytes(length) }), false);
    }
    // The right key with something behind it, which a parser of keys might overlook.
    const longer = Buffer.concat([good.publicKey, Buffer.of(0)]);
    assert.equal(await provesKey({ ...good, publicKey: longer }), false);
    for (const length of [0, 63, 65]) {
      assert.equal(await provesKey({ ...good, signature: randomBytes(length) }), false);
    }
  });
});
