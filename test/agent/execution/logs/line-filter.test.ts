import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { LogRecord, OutputStream } from "../../../../src/agent/engine/engine-streams.ts";
import { LineFilter } from "../../../../src/agent/execution/logs/line-filter.ts";
import { lineTest } from "../../../../src/agent/execution/logs/line-test.ts";
import { FleetError } from "../../../../src/domain/errors.ts";
import { LogMatchSchema } from "../../../../src/gen/fairlead/container/v1/log_pb.js";

const filterOf = (match: MessageInitShape<typeof LogMatchSchema>) =>
  new LineFilter(lineTest(create(LogMatchSchema, match)) ?? assert.fail("there is a pattern"));

const record = (data: string | Uint8Array, stream: OutputStream = "stdout"): LogRecord => ({
  stream,
  timeNs: 1n,
  data: Buffer.from(data),
});

const through = (filter: LineFilter, ...records: LogRecord[]) =>
  [...records.flatMap((one) => filter.take(one)), ...filter.end()].map(({ data }) =>
    Buffer.from(data).toString("latin1"),
  );

const text = (value: string, more = {}) => filterOf({ pattern: { case: "text", value }, ...more });
const regex = (value: string, more = {}) => filterOf({ pattern: { case: "regex", value }, ...more });

describe("matching of log lines at the agent", () => {
  it("O11 takes lines by a text or by an expression of RE2, with and without regard to case, or all others", () => {
    const lines = ["GET /a 200\n", "get /b 404\n", "POST /c 200\n"].map((line) => record(line));
    assert.deepEqual(through(text("GET"), ...lines), ["GET /a 200\n"]);
    assert.deepEqual(through(text("GET", { ignoreCase: true }), ...lines), ["GET /a 200\n", "get /b 404\n"]);
    assert.deepEqual(through(text("GET", { invert: true }), ...lines), ["get /b 404\n", "POST /c 200\n"]);
    assert.deepEqual(through(regex(" (200|201)$"), ...lines), ["GET /a 200\n", "POST /c 200\n"]);
    assert.deepEqual(through(regex("^post", { ignoreCase: true }), ...lines), ["POST /c 200\n"]);
  });

  it("O11 judges a line as a whole that the engine keeps in parts, and lets all of its parts through", () => {
    const parts = [record("a".repeat(16_384)), record("b".repeat(16_384)), record("needle\n")];
    assert.equal(through(text("needle"), ...parts).join("").length, 2 * 16_384 + 7);
    assert.deepEqual(through(text("other"), ...parts), []);
  });

  it("O11 keeps the lines of the two outputs apart", () => {
    const mixed = [record("one "), record("err\n", "stderr"), record("two\n")];
    assert.deepEqual(through(text("one two"), ...mixed), ["one ", "two\n"]);
  });

  it("O11 judges the last line also without a newline, and a line with a carriage return without it", () => {
    assert.deepEqual(through(regex("end$"), record("the end")), ["the end"]);
    assert.deepEqual(through(regex("end$"), record("the end\r\n")), ["the end\r\n"]);
  });

  it("O12 takes what is no UTF-8 for U+FFFD, and lets the bytes through as they are", () => {
    assert.deepEqual(through(text("\ufffd"), record(Uint8Array.from([0xff, 0x41, 0x0a]))), ["\xffA\n"]);
  });

  it("O12 holds back no more than 1 MiB of a line without end: its beginning decides", () => {
    const filter = text("needle");
    const part = record("needle".padEnd(16_384, "x"));
    let held = 0;
    for (let index = 0; index < 64; index += 1) held += filter.take(part).length === 0 ? 1 : 0;
    assert.equal(held, 63);
    assert.equal(filter.holds, false);
    assert.equal(filter.take(record("more")).length, 1);
    assert.equal(filter.take(record("end\n")).length, 1);
    assert.equal(filter.take(record("no match\n")).length, 0);
  });

  it("O11 refuses what is no expression of RE2, and takes linear time for one that would need for ever elsewhere", () => {
    assert.throws(
      () => regex("(a"),
      (error) => error instanceof FleetError && error.reason === "INVALID_ARGUMENT",
    );
    assert.throws(() => regex("(?=a)"), FleetError);
    assert.deepEqual(through(regex("^(a+)+$"), record(`${"a".repeat(5_000)}!\n`)), []);
  });
});
