import assert from "node:assert/strict";
import { UntoldResults } from "../../../src/agent/execution/untold-results.ts";

const megabyte = 1024 * 1024;

describe("results that are told whole and written in part", () => {
  it("C27 are kept up to 32 MiB, and of too many the oldest are forgotten", () => {
    const results = new UntoldResults();
    for (let number = 0; number < 33; number += 1) results.add(`${number}`, new Uint8Array(megabyte));
    assert.equal(results.get("0"), undefined);
    assert.equal(results.get("1")?.byteLength, megabyte);
    // What comes again, or is acknowledged, gives its room back.
    results.add("32", new Uint8Array(megabyte));
    results.delete("2");
    results.add("33", new Uint8Array(megabyte));
    assert.equal(results.get("1")?.byteLength, megabyte);
  });
});
