import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../src/domain/errors.ts";
import { OutputStream } from "../../src/gen/fairlead/container/v1/log_pb.js";
import type {
  StreamLogsRequest,
  StreamLogsResponseSchema,
} from "../../src/gen/fairlead/container/v1/log_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { type Answers, closeApis, fairlead, nowMs } from "./command-line.ts";

type Response = MessageInitShape<typeof StreamLogsResponseSchema>;

const source = (name: string) => ({
  host: { name: "web-1" },
  containerId: `id-of-${name}`,
  containerName: name,
});

const batch = (name: string, ...records: (string | Uint8Array | { err: string })[]): Response => ({
  message: {
    case: "batch",
    value: {
      source: source(name),
      cursor: `id-of-${name}.1.1`,
      records: records.map((record) => ({
        stream: isError(record) ? OutputStream.STDERR : OutputStream.STDOUT,
        time: { seconds: BigInt(nowMs / 1_000), nanos: 5 },
        data: Buffer.from(isError(record) ? record.err : record),
      })),
    },
  },
});

const isError = (record: unknown): record is { err: string } =>
  typeof record === "object" && record !== null && "err" in record;

const logs = (messages: readonly Response[], asked: StreamLogsRequest[] = []): Answers => ({
  logs: {
    async *streamLogs(request) {
      asked.push(request);
      yield* messages;
    },
  },
});

describe("logs on the command line", () => {
  afterEach(closeApis);

  it("O11 O12 prints the log of one container byte for byte, each output where it belongs", async () => {
    const bytes = Uint8Array.from([0xff, 0x00, 0x1b, 0x0a]);
    const { code, stdout, stderr } = await fairlead(
      logs([{}, batch("web", "one\n", { err: "two\n" }, bytes, "no end")]),
      ["logs", "web"],
    );
    assert.deepEqual([code, stdout, stderr], [0, "one\n\ufffd\u0000\u001b\nno end", "two\n"]);
  });

  it("O11 begins each line with its time, and not its parts", async () => {
    const { stdout } = await fairlead(logs([batch("web", "a", "b\n", "c\n")]), ["logs", "-t", "web"]);
    const time = "2026-01-31T12:00:00.000000005Z";
    assert.equal(stdout, `${time} ab\n${time} c\n`);
  });

  it("O11 prints several side by side, whole lines only, each with where it is from", async () => {
    const messages = [
      batch("web", "first "),
      batch("db", "ready\n"),
      batch("web", "half\n"),
      batch("db", "no end"),
    ];
    const asked: StreamLogsRequest[] = [];
    const { stdout } = await fairlead(logs(messages, asked), ["logs", "web", "web-1/db"]);
    assert.equal(stdout, "web-1/db | ready\nweb-1/web | first half\nweb-1/db | no end\n");
    assert.deepEqual(asked[0]?.selector?.containers, ["web", "db"]);
    assert.deepEqual(asked[0]?.selector?.hosts, ["web-1"]);
  });

  it("O11 gives each of several its own colour on a terminal", async () => {
    const { stdout } = await fairlead(
      logs([batch("web", "a\n"), batch("db", "b\n"), batch("web", "c\n")]),
      ["logs", "-l", "app=shop"],
      { isTTY: true },
    );
    const [first = "", second = "", third = ""] = stdout.split("\n").map((line) => line.slice(0, 5));
    assert.ok(first.startsWith("\u001b[") && first === third && first !== second, JSON.stringify(stdout));
  });

  it("O11 asks for what its flags say", async () => {
    const asked: StreamLogsRequest[] = [];
    const flags = [
      "-f",
      "--follow-restarts",
      "-n",
      "7",
      "--since",
      "10m",
      "--until",
      "2026-01-31",
      "--grep",
      "a.c",
    ];
    await fairlead(logs([], asked), ["logs", ...flags, "-i", "--invert-match", "web-1/web"]);
    await fairlead(logs([], asked), [
      "logs",
      "--tail",
      "all",
      "-F",
      "--grep",
      "a.c",
      "-l",
      "x=y",
      "--host",
      "h",
    ]);
    const [one, several] = asked;
    assert.deepEqual(
      [one?.host, one?.container, one?.follow, one?.followRestarts, one?.tail],
      ["web-1", "web", true, true, 7],
    );
    assert.deepEqual(one?.sinceTime?.seconds, timestampFromMs(nowMs - 600_000).seconds);
    assert.deepEqual(one?.untilTime?.seconds, timestampFromMs(Date.UTC(2026, 0, 31)).seconds);
    assert.deepEqual(
      [one?.match?.pattern, one?.match?.ignoreCase, one?.match?.invert],
      [{ case: "regex", value: "a.c" }, true, true],
    );
    assert.deepEqual(several?.match?.pattern, { case: "text", value: "a.c" });
    assert.deepEqual([several?.tail, several?.container], [undefined, ""]);
    assert.deepEqual([several?.selector?.labels, several?.selector?.hosts], [["x=y"], ["h"]]);
    assert.equal(several?.selector?.includeStopped, false);
  });

  it("O12 --json is one document a line, with the text, or the bytes of what is none", async () => {
    const { stdout } = await fairlead(logs([batch("web", "a\u001b\n", Uint8Array.from([0xff]))]), [
      "logs",
      "--json",
      "web",
    ]);
    const lines = stdout.trim().split("\n");
    assert.ok(!stdout.includes("\u001b"));
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [
        {
          host: "web-1",
          container: "web",
          containerId: "id-of-web",
          stream: "stdout",
          time: "2026-01-31T12:00:00.000000005Z",
          text: "a\u001b\n",
        },
        {
          host: "web-1",
          container: "web",
          containerId: "id-of-web",
          stream: "stdout",
          time: "2026-01-31T12:00:00.000000005Z",
          data: "/w==",
        },
      ],
    );
  });

  it("D06 goes on with its cursors after a lost connection, and says what the engine has thrown away", async () => {
    const asked: StreamLogsRequest[] = [];
    const answers: Answers = {
      logs: {
        async *streamLogs(request) {
          asked.push(request);
          if (asked.length === 1) {
            yield batch("web", "before\n");
            throw new FleetError("AGENT_DISCONNECTED", "gone");
          }
          yield {
            message: { case: "gap", value: { source: source("web"), afterTime: timestampFromMs(nowMs) } },
          };
          yield batch("web", "after\n");
        },
      },
    };
    const clock = { ...systemClock, sleep: () => Promise.resolve() };
    const { code, stdout, stderr } = await fairlead(answers, ["logs", "-f", "web"], { clock });
    assert.deepEqual([code, stdout], [0, "before\nafter\n"]);
    assert.deepEqual(asked[1]?.cursors, ["id-of-web.1.1"]);
    assert.match(stderr, /web-1\/web: the engine has thrown away what was written after 2026-01-31T12/);
  });

  it("one of several that fails is told, the others go on, and the exit code says it", async () => {
    const failed: Response = {
      message: {
        case: "end",
        value: {
          source: source("db"),
          reason: "AGENT_OFFLINE",
          message: "the agent of host web-1 is not connected",
        },
      },
    };
    const { code, stdout, stderr } = await fairlead(logs([failed, batch("web", "on\n")]), [
      "logs",
      "web",
      "db",
    ]);
    assert.deepEqual([code, stdout], [1, "web-1/web | on\n"]);
    assert.match(stderr, /web-1\/db.*not connected.*AGENT_OFFLINE/);
  });

  it("says what to do about a command line that is wrong", async () => {
    for (const [args, words] of [
      [["logs"], /Name a container, or choose several/],
      [["logs", "--follow-restarts", "web"], /with --follow only/],
      [["logs", "-i", "web"], /with --grep only/],
      [["logs", "-n", "some", "web"], /whole number/],
    ] as const) {
      const { code, stderr } = await fairlead({}, args);
      assert.equal(code, 2);
      assert.match(stderr, words);
    }
  });
});
