import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { FleetError } from "../../src/domain/errors.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { connectErrorFrom, fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { recordingLogger } from "./api-harness.ts";

describe("connectErrorFrom", () => {
  it("C02 keeps reason, message, metadata, fields and delay on the way to the wire and back", () => {
    const { logger, lines } = recordingLogger();
    const error = new FleetError("AGENT_BUSY", "too much", {
      metadata: { command_id: "c1" },
      violations: [{ field: "spec.ports[0]", description: "odd" }],
      retryAfterMs: 1500,
      cause: new Error("for the log only"),
    });
    const sent = connectErrorFrom(error, logger);
    assert.equal(sent.code, Code.ResourceExhausted);
    const received = fleetErrorFrom(sent);
    assert.equal(received.reason, "AGENT_BUSY");
    assert.equal(received.message, "too much");
    assert.deepEqual({ ...received.metadata }, { command_id: "c1" });
    assert.deepEqual(received.violations, [{ field: "spec.ports[0]", description: "odd" }]);
    assert.equal(received.retryAfterMs, 1500);
    assert.deepEqual(lines, []);
  });

  for (const unforeseen of [
    new TypeError("/home/secret/path is undefined"),
    new ConnectError("select * from token", Code.Unknown),
    new ConnectError("select * from token", Code.Internal),
    "a thrown string with a secret",
  ]) {
    it(`V08 an unexpected ${String(unforeseen)} becomes INTERNAL with an id that the log has too`, () => {
      const { logger, lines } = recordingLogger();
      const received = fleetErrorFrom(connectErrorFrom(unforeseen, logger));
      assert.equal(received.reason, "INTERNAL");
      assert.doesNotMatch(received.message, /secret|select|undefined/);
      assert.match(received.metadata["error_id"] ?? "", /^[0-9a-f-]{36}$/);
      assert.equal(lines[0]?.["errorId"], received.metadata["error_id"]);
      assert.match(JSON.stringify(lines[0]), /secret|select/);
    });
  }

  it("leaves an error alone that it made itself", () => {
    const { logger, lines } = recordingLogger();
    for (const reason of ["ENGINE_FAILED", "INTERNAL", "CONFLICT"] as const) {
      const once = connectErrorFrom(new FleetError(reason, "odd"), logger);
      assert.equal(connectErrorFrom(once, logger), once);
    }
    assert.deepEqual(lines, []);
  });

  it("tells why a call was aborted: by its caller, by its deadline, or by us", () => {
    const { logger, lines } = recordingLogger();
    const aborted = new DOMException("This operation was aborted", "AbortError");
    const because = (reason?: unknown) =>
      fleetErrorFrom(connectErrorFrom(aborted, logger, AbortSignal.abort(reason))).reason;
    assert.equal(because(), "CANCELLED");
    assert.equal(
      because(new ConnectError("the operation timed out", Code.DeadlineExceeded)),
      "DEADLINE_EXCEEDED",
    );
    assert.equal(because(new FleetError("DRAINING", "bye")), "DRAINING");
    const timedOut = new DOMException("timed out", "TimeoutError");
    assert.equal(connectErrorFrom(timedOut, logger).code, Code.DeadlineExceeded);
    assert.deepEqual(lines, []);
  });

  it("keeps what the protocol refused, and gives it a reason", () => {
    const { logger } = recordingLogger();
    const refused = new ConnectError("cannot decode", Code.InvalidArgument, { "x-hint": "1" });
    const sent = connectErrorFrom(refused, logger);
    assert.equal(sent.code, Code.InvalidArgument);
    assert.equal(sent.metadata.get("x-hint"), "1");
    assert.equal(fleetErrorFrom(sent).reason, "INVALID_ARGUMENT");
    // No reason of ours means NOT_FOUND in general: the status must not change for want of one.
    assert.equal(connectErrorFrom(new ConnectError("who?", Code.NotFound), logger).code, Code.NotFound);
  });
});

describe("fleetErrorFrom", () => {
  it("keeps the word and the text of a newer server's reason", () => {
    const info = { reason: "MOON_PHASE", domain: "fairlead.dev", metadata: { phase: "new" } };
    const details = [{ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) }];
    const received = fleetErrorFrom(
      new ConnectError("wait for it", Code.FailedPrecondition, undefined, details),
    );
    assert.equal(received.reason, "PRECONDITION_FAILED");
    assert.equal(received.message, "wait for it");
    assert.deepEqual({ ...received.metadata }, { phase: "new", reason: "MOON_PHASE" });
  });

  it("does not take another system's reason for ours", () => {
    const info = { reason: "AGENT_OFFLINE", domain: "example.com" };
    const details = [{ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) }];
    const received = fleetErrorFrom(new ConnectError("no", Code.PermissionDenied, undefined, details));
    assert.equal(received.reason, "PERMISSION_DENIED");
  });

  it("passes over details that do not decode, and calls a failed transport unreachable", () => {
    const broken = new ConnectError("refused", Code.Unavailable);
    broken.details = [{ type: "google.rpc.ErrorInfo", value: new Uint8Array([255]) }];
    assert.equal(fleetErrorFrom(broken).reason, "SERVER_UNREACHABLE");
    assert.equal(fleetErrorFrom(new Error("odd")).reason, "INTERNAL");
  });
});
