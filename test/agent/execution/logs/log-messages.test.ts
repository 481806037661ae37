import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import type { LogRecord } from "../../../../src/agent/engine/engine-streams.ts";
import { LineFilter } from "../../../../src/agent/execution/logs/line-filter.ts";
import { logMessages } from "../../../../src/agent/execution/logs/log-messages.ts";
import { placed } from "../../../../src/agent/execution/logs/log-positions.ts";

const record = (timeNs: number, text: string, stream: LogRecord["stream"] = "stdout"): LogRecord => ({
  stream,
  timeNs: BigInt(timeNs),
  data: Buffer.from(text),
});

const everything = { stdout: true, stderr: true, lines: undefined };

async function* from(records: Iterable<LogRecord | "pause">) {
  for (const one of records) {
    if (one === "pause") await turn();
    else yield one;
  }
}

const messagesOf = (
  records: Iterable<LogRecord | "pause">,
  wishes = everything as Parameters<typeof logMessages>[1],
) => Array.fromAsync(logMessages(placed(from(records), undefined), wishes));

const textsOf = (messages: Awaited<ReturnType<typeof messagesOf>>) =>
  messages.map((message) =>
    message.case === "logs"
      ? (message.value.records ?? []).map(({ data }) => Buffer.from(data ?? []).toString())
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

  it("O12 a flood travels in messages of some 16 KiB, and no byte is lost or out of order", async () => {
    const lines = Array.from({ length: 5_000 }, (_, index) => record(index, `line ${index}\n`));
    const messages = await messagesOf(lines);
    assert.ok(messages.length >= 5, `${messages.length} messages`);
    assert.equal(textsOf(messages).flat().join(""), lines.map(({ data }) => data).join(""));
    const largest = Math.max(...textsOf(messages).map((texts) => [...(texts ?? [])].join("").length));
    assert.ok(largest <= 16 * 1024);
  });

  it("O12 a record larger than a message may be is told in pieces", async () => {
    const messages = await messagesOf([record(1, "x".repeat(100_000))]);
    assert.equal(textsOf(messages).flat().join("").length, 100_000);
    assert.ok(
      textsOf(messages)
        .flat()
        .every((text) => text.length <= 32 * 1024),
    );
  });

  it("O11 leaves out the output that is not wanted, and counts it all the same", async () => {
    const records = [record(1, "out\n"), record(1, "err\n", "stderr"), record(1, "more\n")];
    const [message] = await messagesOf(records, { ...everything, stderr: false });
    assert.ok(message?.case === "logs");
    assert.deepEqual(textsOf([message]), [["out\n", "more\n"]]);
    assert.deepEqual(message.value.position, { time: { seconds: 0n, nanos: 1 }, sequence: 3 });
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
    assert.deepEqual(first.value.position, { time: { seconds: 0n, nanos: 1 }, sequence: 1 });
  });
});
