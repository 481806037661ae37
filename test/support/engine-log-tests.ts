import assert from "node:assert/strict";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused, settled } from "./engine-kit.ts";
import { bytesOf, linesOf, oneByOne, readLog, runToEnd, wholeLog } from "./engine-log-kit.ts";

const longLineBytes = 1_000_000;
const partBytes = 16 * 1024;

/** What `Engine.logs` promises. */
export function logTests(kit: EngineKit): void {
  it("O11 a log has both outputs apart and in order, each record with its time", async () => {
    const began = BigInt(Date.now() - 60_000) * 1_000_000n;
    const id = await runToEnd(kit, "echo one; sleep 0.3; echo two >&2; sleep 0.3; echo three");
    const records = await readLog(kit, id);
    assert.deepEqual(
      records.map(({ stream, data }) => [stream, Buffer.from(data).toString()]),
      [
        ["stdout", "one\n"],
        ["stderr", "two\n"],
        ["stdout", "three\n"],
      ],
    );
    const times = records.map(({ timeNs }) => timeNs);
    assert.ok(times.every((time, index) => time > (times[index - 1] ?? began)));
    assert.deepEqual(linesOf(await readLog(kit, id, { stderr: false })), ["one\n", "three\n"]);
    assert.deepEqual(linesOf(await readLog(kit, id, { stdout: false })), ["two\n"]);
    await refused(readLog(kit, id, { stdout: false, stderr: false }), "INVALID_ARGUMENT", "");
  });

  it("O11 tail, since and until choose records, and the nanoseconds count", async () => {
    const id = await runToEnd(kit, [1, 2, 3, 4, 5].map((n) => `echo ${n}`).join("; sleep 0.1; "));
    const all = await readLog(kit, id);
    assert.equal(all.length, 5);
    const timeOf = (index: number) => all[index]?.timeNs ?? 0n;
    assert.deepEqual(linesOf(await readLog(kit, id, { tail: 2 })), ["4\n", "5\n"]);
    assert.deepEqual(linesOf(await readLog(kit, id, { tail: 0 })), []);
    assert.deepEqual(linesOf(await readLog(kit, id, { sinceNs: timeOf(2) })), ["3\n", "4\n", "5\n"]);
    assert.deepEqual(linesOf(await readLog(kit, id, { sinceNs: timeOf(2) + 1n })), ["4\n", "5\n"]);
    assert.deepEqual(linesOf(await readLog(kit, id, { untilNs: timeOf(1) })), ["1\n", "2\n"]);
    const middle = { sinceNs: timeOf(1), untilNs: timeOf(3) };
    assert.deepEqual(linesOf(await readLog(kit, id, middle)), ["2\n", "3\n", "4\n"]);
    assert.deepEqual(linesOf(await readLog(kit, id, { tail: 4, sinceNs: timeOf(3) })), ["4\n", "5\n"]);
  });

  it("O11 following tells what is written later, and ends when the container ends", async () => {
    const { id } = await kit.run({ command: ["sh", "-c", "echo early; sleep 1; echo late; printf end"] });
    const reader = oneByOne(kit.engine.logs(id, { ...wholeLog, follow: true }, neverAborted));
    assert.equal(Buffer.from((await reader.next()).value?.data ?? []).toString(), "early\n");
    const rest: string[] = [];
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
      rest.push(Buffer.from(next.value.data).toString());
    }
    assert.deepEqual(rest, ["late\n", "end"]);
    assert.deepEqual(linesOf(await readLog(kit, id, { follow: true })), ["early\n", "late\n", "end"]);
  });

  it("O11 following with a tail of none begins with what is new, and ends when the container is removed", async () => {
    const { id } = await kit.run({ command: ["sh", "-c", "echo old; sleep 1; echo new; sleep 600"] });
    await settled(async () => (await readLog(kit, id)).length > 0);
    const lines: string[] = [];
    const log = kit.engine.logs(id, { ...wholeLog, follow: true, tail: 0 }, neverAborted);
    for await (const { data } of oneByOne(log)) {
      lines.push(Buffer.from(data).toString());
      await kit.remove(id);
    }
    assert.deepEqual(lines, ["new\n"]);
    await refused(readLog(kit, id), "CONTAINER_NOT_FOUND", id);
  });

  it("O11 a container that never ran has an empty log, also for one that follows", async () => {
    const { id } = await kit.make();
    assert.deepEqual(await readLog(kit, id), []);
    assert.deepEqual(await readLog(kit, id, { follow: true }), []);
  });

  it("O11 the log goes on where a container is started again, also behind a last line without end", async () => {
    for (const tty of [false, true]) {
      const id = await runToEnd(kit, "printf '%s' 'first and last'", tty);
      await kit.engine.startContainer(id, neverAborted);
      await settled(async () => (await readLog(kit, id)).length === 2);
      const [one, other] = await readLog(kit, id);
      assert.equal(Buffer.from(one?.data ?? []).toString(), "first and last");
      assert.equal(Buffer.from(other?.data ?? []).toString(), "first and last");
      assert.ok((one?.timeNs ?? 0n) < (other?.timeNs ?? 0n));
    }
  });

  for (const tty of [false, true]) {
    const where = tty ? "with a TTY" : "without a TTY";
    const lineEnd = tty ? "\r\n" : "\n";

    it(`O12 a line of 1 MB arrives unharmed in its parts, ${where}`, async () => {
      const id = await runToEnd(kit, `head -c ${longLineBytes} /dev/zero; echo; echo after`, tty);
      const records = await readLog(kit, id);
      assert.equal(Buffer.from(records.pop()?.data ?? []).toString(), `after${lineEnd}`);
      assert.ok(bytesOf(records).equals(Buffer.from("\0".repeat(longLineBytes) + lineEnd)));
      assert.equal(new Set(records.map(({ timeNs }) => timeNs)).size, 1, "a line has one time");
      assert.ok(records.slice(0, -1).every(({ data }) => data.length === partBytes));
    });

    it(`O12 control characters, empty lines, a split character and what looks like a time arrive unharmed, ${where}`, async () => {
      const time = "2026-01-02T03:04:05.123456789Z ";
      const id = await runToEnd(
        kit,
        `printf '\\342'; sleep 0.3; printf '\\202\\254\\n\\n\\000\\001\\033[1m\\177\\n'; ` +
          `printf '%s' '${time}'; echo at the beginning; echo 'in the ${time}middle'; printf 'no end'`,
        tty,
      );
      assert.deepEqual(linesOf(await readLog(kit, id)), [
        `€${lineEnd}`,
        lineEnd,
        `\0\u0001\u001b[1m\u007f${lineEnd}`,
        `${time}at the beginning${lineEnd}`,
        `in the ${time}middle${lineEnd}`,
        "no end",
      ]);
    });
  }

  it("O11 with a TTY everything is standard output", async () => {
    const id = await runToEnd(kit, "echo one; echo two >&2", true);
    assert.deepEqual(
      (await readLog(kit, id)).map(({ stream, data }) => [stream, Buffer.from(data).toString()]),
      [
        ["stdout", "one\r\n"],
        ["stdout", "two\r\n"],
      ],
    );
    assert.deepEqual(await readLog(kit, id, { stdout: false }), []);
  });

  it("D03 an abort ends a reader with the signal's reason, whether it waits or not, and nothing stays open", async () => {
    const { id } = await kit.run({ command: ["sh", "-c", "echo here; sleep 600"] });
    const abort = new AbortController();
    const reason = new Error("enough");
    const reader = oneByOne(kit.engine.logs(id, { ...wholeLog, follow: true }, abort.signal));
    assert.equal(Buffer.from((await reader.next()).value?.data ?? []).toString(), "here\n");
    const waiting = reader.next();
    setTimeout(() => abort.abort(reason), 50);
    await assert.rejects(waiting, reason);
    await assert.rejects(kit.engine.logs(id, wholeLog, abort.signal)[Symbol.asyncIterator]().next(), reason);
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("D03 a reader that leaves its loop leaves nothing open", async () => {
    const { id } = await kit.run({ command: ["sh", "-c", "yes 'a line of a flood'"] });
    let seen = 0;
    for await (const { data } of oneByOne(kit.engine.logs(id, { ...wholeLog, follow: true }, neverAborted))) {
      assert.equal(Buffer.from(data).toString(), "a line of a flood\n");
      assert.ok(kit.harness.openStreams() > 0, "an open reader is not seen");
      seen += 1;
      if (seen === 10_000) {
        break;
      }
    }
    await settled(async () => kit.harness.openStreams() === 0);
    await kit.remove(id);
  });
}
