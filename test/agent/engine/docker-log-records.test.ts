import assert from "node:assert/strict";
import fc from "fast-check";
import { maxRecordBytes, recordsOfFrames } from "../../../src/agent/engine/docker-log-records.ts";
import { recordsOfTerminal } from "../../../src/agent/engine/docker-terminal-log.ts";
import type { LogRecord } from "../../../src/agent/engine/engine-streams.ts";
import { oneByOne } from "../../support/engine-log-kit.ts";
import { refused } from "../../support/engine-kit.ts";

const first = "2026-01-02T03:04:05.000000006Z ";
const firstNs = 1_767_323_045_000_000_006n;
const second = "2026-01-02T03:04:05.000000007Z ";
const partBytes = 16 * 1024;

function frame(channel: number, text: string): Buffer {
  const data = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = channel;
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
}

async function* inPieces(whole: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < whole.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield whole.subarray(at, at + size);
    at += size;
  }
}

async function all(log: AsyncIterable<readonly LogRecord[]>): Promise<[string, bigint, string][]> {
  const found: [string, bigint, string][] = [];
  for await (const { stream, timeNs, data } of oneByOne(log)) {
    found.push([stream, timeNs, Buffer.from(data).toString()]);
  }
  return found;
}

const anySizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });

describe("agent/engine: the records of Docker's logs", () => {
  it("O12 frames give the same records wherever the chunks are cut", async () => {
    const whole = Buffer.concat([
      frame(1, `${first}one\n`),
      frame(2, `${second}\n`),
      frame(1, `${second}${first}looks like a time\n`),
      frame(1, `${second}€\0 no end`),
      frame(1, second),
    ]);
    const expected = [
      ["stdout", firstNs, "one\n"],
      ["stderr", firstNs + 1n, "\n"],
      ["stdout", firstNs + 1n, `${first}looks like a time\n`],
      ["stdout", firstNs + 1n, "€\0 no end"],
      ["stdout", firstNs + 1n, ""],
    ];
    await fc.assert(
      fc.asyncProperty(anySizes, async (sizes) => {
        assert.deepEqual(await all(recordsOfFrames(inPieces(whole, sizes))), expected);
      }),
      { numRuns: 50 },
    );
  });

  it("O12 a TTY's log gives the same records wherever the chunks are cut", async () => {
    const part = `Z ${"x".repeat(partBytes - 2)}`;
    const whole = Buffer.from(
      `${first}one\r\n${first}\r\n${second}${first}looks like a time\r\n${first}${part}${first}${part}${first}rest\r\n` +
        `${first}in the ${first}middle\r\n${first}last words${second}of the next run\r\n${second}no end`,
    );
    const expected = [
      ["stdout", firstNs, "one\r\n"],
      ["stdout", firstNs, "\r\n"],
      ["stdout", firstNs + 1n, `${first}looks like a time\r\n`],
      ["stdout", firstNs, part],
      ["stdout", firstNs, part],
      ["stdout", firstNs, "rest\r\n"],
      ["stdout", firstNs, `in the ${first}middle\r\n`],
      ["stdout", firstNs, "last words"],
      ["stdout", firstNs + 1n, "of the next run\r\n"],
      ["stdout", firstNs + 1n, "no end"],
    ];
    await fc.assert(
      fc.asyncProperty(anySizes, async (sizes) => {
        assert.deepEqual(await all(recordsOfTerminal(inPieces(whole, sizes))), expected);
      }),
      { numRuns: 20 },
    );
  });

  it("O11 times in a zone of the engine's own are understood, with a TTY and without", async () => {
    const zoned = "2026-01-02T05:04:05.000000006+02:00 ";
    const text = `${zoned}one\n${zoned}two${zoned.replace("006", "007")}three\n`;
    assert.deepEqual(await all(recordsOfTerminal(inPieces(Buffer.from(text), [7]))), [
      ["stdout", firstNs, "one\n"],
      ["stdout", firstNs, "two"],
      ["stdout", firstNs + 1n, "three\n"],
    ]);
    assert.deepEqual(await all(recordsOfFrames(inPieces(frame(1, `${zoned}one\n`), [7]))), [
      ["stdout", firstNs, "one\n"],
    ]);
  });

  it("O12 a record that is longer than any of Docker's is told in parts, and held no longer", async () => {
    const long = "y".repeat(2 * maxRecordBytes + 10);
    const framed = await all(recordsOfFrames(inPieces(frame(1, `${first}${long}\n`), [50_000])));
    const plain = await all(recordsOfTerminal(inPieces(Buffer.from(`${first}${long}\n`), [50_000])));
    for (const records of [framed, plain]) {
      assert.equal(records.map(([, , text]) => text).join(""), `${long}\n`);
      assert.ok(records.every(([, timeNs, text]) => timeNs === firstNs && text.length <= maxRecordBytes));
    }
  });

  it("O12 a later part of a long record that looks like a time is text", async () => {
    const text = `${"y".repeat(maxRecordBytes - first.length)}${second}rest\n`;
    const framed = await all(recordsOfFrames(inPieces(frame(1, `${first}${text}`), [50_000])));
    assert.equal(framed.map(([, , part]) => part).join(""), text);
    assert.ok(framed.every(([, timeNs]) => timeNs === firstNs));
  });

  it("O11 what the engine says of its own failure is the error, in its words", async () => {
    const broken = Buffer.concat([
      frame(1, `${first}one\n`),
      frame(3, "Error grabbing logs: invalid character\n"),
    ]);
    for (const size of [3, broken.length]) {
      const log = oneByOne(recordsOfFrames(inPieces(broken, [size])));
      assert.equal(Buffer.from((await log.next()).value?.data ?? []).toString(), "one\n");
      await refused(log.next(), "ENGINE_FAILED", "invalid character");
    }
    await refused(all(recordsOfFrames(inPieces(Buffer.from("<html>no"), [8]))), "ENGINE_FAILED", "frames");
  });

  it("O21 a log that ends inside a record is of an engine that went away", async () => {
    const cut = frame(1, `${first}one\n`).subarray(0, 20);
    await refused(all(recordsOfFrames(inPieces(cut, [20]))), "ENGINE_UNAVAILABLE", "in the middle");
    await refused(all(recordsOfFrames(inPieces(cut.subarray(0, 5), [20]))), "ENGINE_UNAVAILABLE", "middle");
  });
});
