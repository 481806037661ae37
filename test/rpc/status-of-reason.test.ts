import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { status as grpcStatus } from "@grpc/grpc-js";
import { reasonTraits } from "../../src/domain/errors.ts";
import { reasonOfStatus, statusOfReason } from "../../src/rpc/status-of-reason.ts";

const codes = Object.values(Code).filter((code) => typeof code === "number");

describe("status of reason", () => {
  it("C12 every reason of the closed list has exactly one status, and nothing else has one", () => {
    assert.deepEqual(Object.keys(statusOfReason).toSorted(), Object.keys(reasonTraits).toSorted());
    for (const [reason, code] of Object.entries(statusOfReason)) {
      assert.ok(codes.includes(code), `${reason} has the status ${code}, which is none`);
    }
  });

  it("C12 a status means the same to connect and to grpc-js", () => {
    for (const code of codes) {
      const word = wordOf(code) === "CANCELED" ? "CANCELLED" : wordOf(code);
      assert.equal(grpcStatus[code], word);
    }
  });

  it("C12 every reason says whether a retry can help, and none that a caller must change something for does", () => {
    const callersFault: number[] = [
      Code.InvalidArgument,
      Code.PermissionDenied,
      Code.Unauthenticated,
      Code.NotFound,
    ];
    for (const [reason, code] of Object.entries(statusOfReason)) {
      const traits = reasonTraits[reason as keyof typeof reasonTraits];
      assert.equal(typeof traits.retryable, "boolean");
      if (callersFault.includes(code)) assert.equal(traits.retryable, false, reason);
    }
  });

  it("names a reason for every status that a proxy or a newer peer may send", () => {
    assert.deepEqual(
      Object.keys(reasonOfStatus)
        .map(Number)
        .toSorted((one, other) => one - other),
      codes.toSorted((one, other) => one - other),
    );
  });
});

function wordOf(code: Code): string {
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
