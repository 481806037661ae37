import assert from "node:assert/strict";
import fc from "fast-check";
import { newRegistrationToken, secretHash } from "../../../src/control-plane/enrolment/registration-token.ts";
import { parseRegistrationToken, registrationTokenText } from "../../../src/domain/registration-token.ts";

describe("registration token", () => {
  it("is taken apart into what it was put together from", () => {
    const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(fc.constant("none"), digest), (ca) => {
        const token = newRegistrationToken(typeof ca === "string" ? ca : ca.toString("base64url"));
        assert.deepEqual(parseRegistrationToken(registrationTokenText(token)), token);
      }),
    );
  });

  it("may have white space around it, as after a copy from a terminal", () => {
    const token = newRegistrationToken("none");
    assert.deepEqual(parseRegistrationToken(`  ${registrationTokenText(token)}\n`), token);
  });

  it("is malformed with any one character more, fewer or of another kind", () => {
    const text = registrationTokenText(newRegistrationToken("none"));
    const position = fc.nat({ max: text.length - 1 });
    const odd = fc.constantFrom(" ", "\0", "=", "+", "/", "é", "\n", "%");
    fc.assert(
      fc.property(position, odd, (at, character) => {
        // White space at the very end counts as around it.
        fc.pre(at < text.length - 1 || character.trim() !== "");
        const [before, after] = [text.slice(0, at), text.slice(at + 1)];
        assert.equal(parseRegistrationToken(before + character + after), undefined);
        assert.equal(parseRegistrationToken(before + after), undefined);
        assert.equal(parseRegistrationToken(`${before}${text[at]}${text[at]}${after}`), undefined);
      }),
    );
  });

  it("is none when it is any other text", () => {
    fc.assert(fc.property(fc.string(), (text) => assert.equal(parseRegistrationToken(text), undefined)));
    for (const text of ["", "fl1", "fl1..", "fl1.none.", `fl2.none.${"A".repeat(43)}`]) {
      assert.equal(parseRegistrationToken(text), undefined);
    }
  });

  it("has a secret of 256 bits that is another each time, of which 32 bytes of hash are kept", () => {
    const secrets = new Set(Array.from({ length: 100 }, () => newRegistrationToken("none").secret));
    assert.equal(secrets.size, 100);
    for (const secret of secrets) assert.equal(Buffer.from(secret, "base64url").byteLength, 32);
    assert.equal(secretHash("x").byteLength, 32);
    assert.notDeepEqual(secretHash("x"), secretHash("y"));
  });
});
