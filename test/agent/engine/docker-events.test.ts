import assert from "node:assert/strict";
import { linesOf, noticeFromLine } from "../../../src/agent/engine/docker-events.ts";
import type { EngineEvent } from "../../../src/agent/engine/engine.ts";
import { ContainerAction } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { refused } from "../../support/engine-kit.ts";

describe("agent/engine: Docker's event stream", () => {
  it("L05 lines arrive whole, however the bytes are cut, also within a character", async () => {
    const text = '{"a":"naïve ☕ 🚢"}\n\n{"b":2}\nrest without an end';
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size += 1) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      assert.deepEqual(
        await collect(linesOf(from(chunks))),
        ['{"a":"naïve ☕ 🚢"}', '{"b":2}'],
        `by ${size}`,
      );
    }
  });

  it("L05 a line without end is an error and no endless memory", async () => {
    const chunks = Array.from({ length: 100 }, () => Buffer.alloc(64 * 1024, "x"));
    await refused(collect(linesOf(from(chunks))), "ENGINE_FAILED", "without end");
  });

  it("L05 a death has its exit code, and its time to the nanosecond", () => {
    const line =
      '{"status":"die","id":"abc","from":"busybox","Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":{"exitCode":"143","image":"busybox","name":"one","timeNano":"9"}},"scope":"local","time":1795347024,"timeNano":1795347024754059879}';
    assert.deepEqual(eventOf(line), {
      action: ContainerAction.DIED,
      containerId: "abc",
      containerName: "one",
      image: "busybox",
      exitCode: 143,
      timeNs: 1795347024754059879n,
    });
  });

  it("L05 Docker's words become ours, and what only says how it came about becomes nothing", () => {
    const expected: Record<string, ContainerAction | undefined> = {
      create: ContainerAction.CREATED,
      start: ContainerAction.STARTED,
      die: ContainerAction.DIED,
      oom: ContainerAction.OUT_OF_MEMORY,
      pause: ContainerAction.PAUSED,
      unpause: ContainerAction.UNPAUSED,
      rename: ContainerAction.RENAMED,
      destroy: ContainerAction.REMOVED,
      "health_status: healthy": ContainerAction.HEALTHY,
      "health_status: unhealthy": ContainerAction.UNHEALTHY,
      kill: undefined,
      stop: undefined,
      restart: undefined,
      attach: undefined,
      resize: undefined,
      "exec_create: sh": undefined,
      "exec_start: sh": undefined,
      exec_die: undefined,
      constructor: undefined,
    };
    for (const [word, action] of Object.entries(expected)) {
      const line = JSON.stringify({ Type: "container", Action: word, Actor: { ID: "abc" } });
      assert.equal(eventOf(line)?.action, action, word);
    }
    assert.equal(noticeFromLine('{"Type":"network","Action":"create","Actor":{"ID":"abc"}}'), undefined);
    assert.equal(noticeFromLine("null"), undefined);
  });

  it("L10 a signal that somebody asked for is a notice of its own", () => {
    const line =
      '{"Type":"container","Action":"kill","Actor":{"ID":"abc","Attributes":{"signal":"15"}},"timeNano":1795347024754059879}';
    assert.deepEqual(noticeFromLine(line), {
      kind: "asked",
      containerId: "abc",
      timeNs: 1795347024754059879n,
    });
  });
});

function eventOf(line: string): EngineEvent | undefined {
  const notice = noticeFromLine(line);
  return notice?.kind === "event" ? notice.event : undefined;
}

async function* from(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) {
    all.push(line);
  }
  return all;
}
