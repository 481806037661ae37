import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { DockerEngine } from "../../../src/agent/engine/docker-engine.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { oneByOne, wholeLog } from "../../support/engine-log-kit.ts";
import { refused, settled } from "../../support/engine-kit.ts";
import { type FakeDocker, startFakeDocker } from "../../support/fake-docker.ts";
import { silentLogger } from "../../support/silent-logger.ts";

const time = "2026-01-02T03:04:05.000000006Z ";

function at(second: number): string {
  return `2026-01-02T03:04:0${second}.000000000Z `;
}

function frame(text: string): Buffer {
  const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(text.length, 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

async function read(engine: DockerEngine, follow = false): Promise<string[]> {
  const lines: string[] = [];
  for await (const { data } of oneByOne(engine.logs("one", { ...wholeLog, follow }, neverAborted))) {
    lines.push(Buffer.from(data).toString());
  }
  return lines;
}

describe("agent/engine: logs that go wrong", () => {
  const opened: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((it) => it.close()));
  });

  async function against(
    answerLogs: (response: ServerResponse) => void,
  ): Promise<{ engine: DockerEngine; fake: FakeDocker }> {
    const fake = await startFakeDocker((request, response) => {
      if (request.url?.includes("/json")) {
        response.end(JSON.stringify({ Id: "one", Config: { Tty: false } }));
      } else {
        answerLogs(response);
      }
    });
    const endpoint = { kind: "socket", address: `unix://${fake.path}`, path: fake.path } as const;
    const engine = new DockerEngine({ endpoint, clock: systemClock, logger: silentLogger });
    opened.push(engine, fake);
    return { engine, fake };
  }

  it("O21 an engine that goes away in the middle is ENGINE_UNAVAILABLE", async () => {
    const { engine } = await against((response) => {
      response.write(frame(`${time}one\n`));
      setTimeout(() => response.socket?.destroy(), 20);
    });
    await refused(read(engine), "ENGINE_UNAVAILABLE", "broke");
  });

  it("O11 what is asked for is passed on, the times in seconds and nanoseconds", async () => {
    const { engine, fake } = await against((response) => response.end());
    const query = { ...wholeLog, stderr: false, tail: 7, sinceNs: 1_000_000_005n, untilNs: 20_000_000_000n };
    for await (const _ of engine.logs("one", query, neverAborted)) {
      assert.fail("there is nothing");
    }
    assert.equal(
      fake.requests[1],
      "GET /containers/one/logs?stdout=true&stderr=false&follow=false&timestamps=true&tail=7&since=1.000000005&until=20.000000000",
    );
  });

  it("O11 what the engine left out at the end of a log that was followed is fetched, and nothing is told twice", async () => {
    const early = frame(`${at(5)}five\n`);
    // The two outputs are timed apart, so times may go back.
    const told = [frame(`${at(7)}seven\n`), frame(`${at(6)}six\n`), frame(`${at(6)}six again\n`)];
    const missed = [frame(`${at(6)}six at last\n`), frame(`${at(8)}eight\n`)];
    let calls = 0;
    const { engine, fake } = await against((response) => {
      calls += 1;
      response.end(Buffer.concat(calls === 1 ? [early, ...told] : [...told, ...missed]));
    });
    assert.deepEqual(await read(engine, true), [
      "five\n",
      "seven\n",
      "six\n",
      "six again\n",
      "six at last\n",
      "eight\n",
    ]);
    assert.match(fake.requests[2] ?? "", /follow=false.*&since=1767323045\.000000000$/);
  });

  it("D02 a reader that stops reading stops the engine's writing, and nothing is lost", async function () {
    this.timeout(20_000);
    const record = frame(`${time}${"z".repeat(1000)}\n`);
    const block = Buffer.concat(Array.from({ length: 64 }, () => record));
    const blocks = 1024;
    let written = 0;
    const { engine } = await against((response) => {
      const writeMore = () => {
        while (written < blocks) {
          written += 1;
          if (!response.write(block)) {
            response.once("drain", writeMore);
            return;
          }
        }
        response.end();
      };
      writeMore();
    });
    const reader = oneByOne(engine.logs("one", wholeLog, neverAborted));
    let records = (await reader.next()).done === true ? 0 : 1;
    let before = -1;
    await settled(async () => {
      const still = written === before;
      before = written;
      await delay(200);
      return still;
    });
    // What the kernel holds for a socket is far from all of it, however it is set up.
    assert.ok(written < blocks / 4, `the engine wrote ${written} of ${blocks} blocks to nobody`);
    while ((await reader.next()).done !== true) {
      records += 1;
    }
    assert.equal(records, blocks * 64);
  });

  it("D03 a reader that vanishes without a word is freed by its signal", async () => {
    let closed = 0;
    const { engine } = await against((response) => {
      response.on("close", () => {
        closed += 1;
      });
      response.write(frame(`${time}one\n`));
    });
    const abort = new AbortController();
    const reader = engine.logs("one", { ...wholeLog, follow: true }, abort.signal)[Symbol.asyncIterator]();
    await reader.next();
    abort.abort(new Error("its stream has ended"));
    await settled(async () => closed === 1);
  });
});
