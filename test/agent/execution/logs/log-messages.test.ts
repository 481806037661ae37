import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { LogRecord } from "../../../../src/agent/engine/engine-streams.ts";
import { LineFilter } from "../../../../src/agent/execution/logs/line-filter.ts";
import { logMessages, type LogWishes } from "../../../../src/agent/execution/logs/log-messages.ts";
import { placed } from "../../../../src/agent/execution/logs/log-positions.ts";
import { LogWriter } from "../../../../src/agent/execution/logs/log-writer.ts";
import { secondsFromNs } from "../../../../src/domain/nanoseconds.ts";
import {
  type DataStreamRequest,
  DataStreamRequestSchema,
} from "../../../../src/gen/fairlead/agent/v1/data_stream_pb.js";
import { LogPositionSchema } from "../../../../src/gen/fairlead/agent/v1/stream_operations_pb.js";
import { OutputStream } from "../../../../src/gen/fairlead/container/v1/log_pb.js";

const record = (timeNs: number, text: string, stream: LogRecord["stream"] = "stdout"): LogRecord => ({
  stream,
  timeNs: BigInt(timeNs),
  data: Buffer.from(text),
});

const everything: LogWishes = { stdout: true, stderr: true, lines: undefined };

const positionAt = (nanos: number, sequence: number) =>
  create(LogPositionSchema, { time: { seconds: 0n, nanos }, sequence });

async function* from(records: Iterable<LogRecord | "pause">, together: number) {
  let held: LogRecord[] = [];
  for (const one of records) {
    if (one !== "pause") held.push(one);
    if (held.length >= together || (one === "pause" && held.length > 0)) {
      yield held;
      held = [];
    }
    if (one === "pause") await turn();
  }
  if (held.length > 0) yield held;
}

/** The messages as the control plane reads them. */
async function messagesOf(
  records: Iterable<LogRecord | "pause">,
  wishes: LogWishes = everything,
  together = 1,
): Promise<DataStreamRequest["message"][]> {
  const messages = await Array.fromAsync(logMessages(placed(from(records, together), undefined), wishes));
  return messages.map((message) =>
    message instanceof Uint8Array
      ? fromBinary(DataStreamRequestSchema, message).message
      : create(DataStreamRequestSchema, { message }).message,
  );
}

const textsOf = (messages: readonly DataStreamRequest["message"][]) =>
  messages.map((message) =>
    message.case === "logs"
      ? message.value.records.map(({ data }) => Buffer.from(data).toString())
      : message.case,
  );

describe("messages of a log", () => {
  it("O11 what comes at once travels together, and nothing is held back when nothing more comes", async () => {
    const messages = await messagesOf([
      record(1, "a\n"),
      record(2, "b\n"),
      "pause",
      "pause",
      record(3, "c\n"),
    ]);
    assert.deepEqual(textsOf(messages), [["a\n", "b\n"], ["c\n"]]);
  });

  it("O12 a flood travels in messages of some 16 KiB, and no byte is lost or out of order, however many records come at once", async () => {
    const lines = Array.from({ length: 5_000 }, (_, index) => record(index, `line ${index}\n`));
    for (const together of [1, 7, 5_000]) {
      const messages = await messagesOf(lines, everything, together);
      assert.ok(messages.length >= 5, `${messages.length} messages`);
      assert.equal(textsOf(messages).flat().join(""), lines.map(({ data }) => data).join(""));
      const largest = Math.max(...textsOf(messages).map((texts) => [...(texts ?? [])].join("").length));
      assert.ok(largest <= 16 * 1024);
      const told = messages.map((message) => message.case === "logs" && message.value);
      assert.ok(
        told.every((logs) => logs && logs.position?.time?.nanos === logs.records.at(-1)?.time?.nanos),
        "the place of a message is behind its last record",
      );
    }
  });

  it("O12 a record larger than a message may be is told in pieces", async () => {
    const messages = await messagesOf([record(1, "x".repeat(100_000))]);
    assert.equal(textsOf(messages).flat().join("").length, 100_000);
    assert.ok(
      textsOf(messages)
        .flat()
        .every((text) => (text ?? "").length <= 32 * 1024),
    );
  });

  it("O11 leaves out the output that is not wanted, and counts it all the same", async () => {
    const records = [record(1, "out\n"), record(1, "err\n", "stderr"), record(1, "more\n")];
    const [message] = await messagesOf(records, { ...everything, stderr: false });
    assert.ok(message?.case === "logs");
    assert.deepEqual(textsOf([message]), [["out\n", "more\n"]]);
    assert.deepEqual(message.value.position, positionAt(1, 3));
  });

  it("O12 a long line without end that comes through at the end of the log travels in small messages", async () => {
    const parts = Array.from({ length: 60 }, () => record(1, "x".repeat(16_384)));
    const lines = new LineFilter(() => true);
    const messages = await messagesOf(parts, { ...everything, lines });
    assert.equal(messages.length, parts.length);
    assert.equal(textsOf(messages).flat().join("").length, parts.length * 16_384);
  });

  it("O12 records are written as the generated code writes them", () => {
    const anyRecord = fc.record({
      stream: fc.constantFrom("stdout" as const, "stderr" as const),
      timeNs: fc.bigInt({ min: 0n, max: 4_000_000_000n * 1_000_000_000n }),
      data: fc.uint8Array({ maxLength: 200 }),
    });
    const sequences = fc.integer({ min: 1, max: 0xffff_ffff });
    fc.assert(
      fc.property(
        fc.array(anyRecord, { minLength: 1, maxLength: 5 }),
        fc.option(sequences),
        (some, sequence) => {
          const writer = new LogWriter();
          for (let round = 0; round < 2; round += 1) {
            for (const one of some) writer.put(one);
            const timeNs = some[0]?.timeNs ?? 0n;
            const written = writer.finish(sequence === null ? undefined : { timeNs, sequence });
            const records = some.map(({ stream, timeNs: at, data }) => ({
              stream: stream === "stdout" ? OutputStream.STDOUT : OutputStream.STDERR,
              time: secondsFromNs(at),
              data,
            }));
            const position = sequence === null ? {} : { position: { time: secondsFromNs(timeNs), sequence } };
            const message = create(DataStreamRequestSchema, {
              message: { case: "logs", value: { records, ...position } },
            });
            assert.deepEqual(
              fromBinary(DataStreamRequestSchema, Uint8Array.from(written)),
              fromBinary(DataStreamRequestSchema, toBinary(DataStreamRequestSchema, message)),
            );
          }
        },
      ),
    );
  });

  it("D06 a place is never beyond a record that is held back", async () => {
    const lines = new LineFilter((line) => line.includes("whole"));
    const records = [
      record(1, "whole\n"),
      record(2, "who"),
      record(3, "e whole\n", "stderr"),
      "pause",
      "pause",
    ] as const;
    const [first] = await messagesOf(records, { ...everything, lines });
    assert.ok(first?.case === "logs");
    assert.deepEqual(first.value.position, positionAt(1, 1));
  });
});
