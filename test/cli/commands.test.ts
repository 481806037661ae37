import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CommandSchema, CommandState } from "../../src/gen/fairlead/command/v1/command_pb.js";
import { type Answers, closeApis, fairlead, nowMs } from "./command-line.ts";

type CommandInit = Exclude<MessageInitShape<typeof CommandSchema>, { $typeName: string }>;

const minutesAgo = (count: number) => timestampFromMs(nowMs - count * 60_000);
const fullId = "c0ffee".padEnd(64, "0");

const open: CommandInit = {
  id: "0195",
  operation: "stop_container",
  hostName: "web-1",
  container: fullId,
  containerName: "web",
  state: CommandState.DISPATCHED,
  createTime: minutesAgo(2),
  transitions: [
    { state: CommandState.PENDING, transitionTime: minutesAgo(2) },
    { state: CommandState.DISPATCHED, transitionTime: minutesAgo(2), attempt: 1, sessionEpoch: 7 },
  ],
};
const ended = (state: CommandState, more: CommandInit = {}): CommandInit => ({
  ...open,
  state,
  endTime: minutesAgo(1),
  duration: { seconds: 1n, nanos: 540_000_000 },
  ...more,
  transitions: [
    ...(open.transitions ?? []),
    { state, transitionTime: minutesAgo(1), attempt: 1, sessionEpoch: 7 },
  ],
});
const good = ended(CommandState.SUCCEEDED);
const bad = ended(CommandState.FAILED, { reason: "ENGINE_UNAVAILABLE", message: "no \u001b[31mengine" });

describe("commands on the command line", () => {
  afterEach(closeApis);

  it("C10 ls passes every filter on, and shows names rather than ids", async () => {
    const asked: Record<string, unknown>[] = [];
    const answers: Answers = {
      commands: {
        listCommands(request) {
          asked.push(request);
          return { commands: [bad], nextPageToken: "more" };
        },
      },
    };
    const filters = `--host web-1 --container web --state outcome_unknown --state failed --reason engine-unavailable
      --caller ops --since 10m --until 2026-01-31T11:55:00Z -n 1`;
    const { stdout } = await fairlead(answers, ["commands", "ls", ...filters.split(/\s+/)]);
    assert.equal(
      stdout,
      `COMMAND ID   HOST    OPERATION        CONTAINER   STATE    REASON               CREATED         TOOK
0195         web-1   stop_container   web         failed   ENGINE_UNAVAILABLE   2 minutes ago   1.5 s
`,
    );
    const [{ host, container, states, reasons, caller, createdSinceTime, createdBeforeTime, pageSize }] =
      asked as [Record<string, unknown>];
    assert.deepEqual(
      [host, container, states, reasons, caller, pageSize],
      ["web-1", "web", [CommandState.OUTCOME_UNKNOWN, CommandState.FAILED], ["ENGINE_UNAVAILABLE"], "ops", 1],
    );
    assert.deepEqual([createdSinceTime, createdBeforeTime], [minutesAgo(10), minutesAgo(5)]);
  });

  it("C10 get tells everything that there is to tell", async () => {
    const answers = { commands: { getCommand: () => ({ command: bad }) } };
    assert.equal(
      (await fairlead(answers, ["commands", "get", "0195"])).stdout,
      `Command:      0195
Operation:    stop_container
Host:         web-1
Container:    web
Container id: ${fullId}
State:        failed
Reason:       ENGINE_UNAVAILABLE
Message:      no \\x1b[31mengine
Created:      2026-01-31T11:58:00.000Z
Ended:        2026-01-31T11:59:00.000Z
Took:         1.5 s
`,
    );
  });

  it("C37 get says of an unknown outcome what to look at", async () => {
    const unknown = ended(CommandState.OUTCOME_UNKNOWN, { reason: "OUTCOME_UNKNOWN" });
    const answers = { commands: { getCommand: () => ({ command: unknown }) } };
    const { stdout } = await fairlead(answers, ["commands", "get", "0195"]);
    assert.match(stdout, /^State: +outcome-unknown$/m);
    assert.match(stdout, /^Look at: +fairlead inspect web-1\/web$/m);
  });

  it("C38 watch shows each step once, until the end", async () => {
    const answers: Answers = {
      commands: {
        async *watchCommand() {
          yield { command: open };
          yield { command: good };
        },
      },
    };
    assert.deepEqual(await fairlead(answers, ["commands", "watch", "0195"]), {
      code: 0,
      stderr: "",
      stdout: `2026-01-31T11:58:00.000Z pending
2026-01-31T11:58:00.000Z dispatched (attempt 1, session epoch 7)
2026-01-31T11:59:00.000Z succeeded (attempt 1, session epoch 7)
`,
    });
    const { stdout } = await fairlead(answers, ["commands", "watch", "--json", "0195"]);
    const states = stdout.trimEnd().split("\n");
    assert.deepEqual(
      states.map((line) => (JSON.parse(line) as { state: string }).state),
      ["COMMAND_STATE_DISPATCHED", "COMMAND_STATE_SUCCEEDED"],
    );
  });

  it("C03 wait goes on until the end, and ends as the command does", async () => {
    let calls = 0;
    const waiting = (end: CommandInit) => ({
      commands: { waitCommand: () => ({ command: (calls += 1) < 3 ? open : end }) },
    });
    assert.deepEqual(await fairlead(waiting(good), ["commands", "wait", "0195"]), {
      code: 0,
      stdout: "succeeded\n",
      stderr: "",
    });
    assert.equal(calls, 3);
    assert.deepEqual(await fairlead(waiting(bad), ["commands", "wait", "0195"]), {
      code: 1,
      stdout: "",
      stderr:
        "fairlead: no \\x1b[31mengine (ENGINE_UNAVAILABLE, command 0195)\n  Look whether Docker runs on that host.\n",
    });
  });

  it("C03 wait gives up when its own time is over", async () => {
    const answers = { commands: { waitCommand: () => ({ command: open }) } };
    const { code, stderr } = await fairlead(answers, ["commands", "wait", "--timeout", "1ms", "0195"]);
    assert.equal(code, 1);
    assert.match(stderr, /^fairlead: the command is still dispatched \(DEADLINE_EXCEEDED, command 0195\)/);
  });

  it("C31 cancel says what really happened to each", async () => {
    const ends: Record<string, CommandInit> = {
      pending: ended(CommandState.CANCELLED, { id: "pending" }),
      running: ended(CommandState.FAILED, { id: "running", reason: "CANCELLED" }),
      late: ended(CommandState.SUCCEEDED, { id: "late" }),
      deaf: { ...open, id: "deaf" },
    };
    const answers: Answers = { commands: { cancelCommand: ({ id }) => ({ command: ends[id]! }) } };
    const { code, stdout, stderr } = await fairlead(answers, ["commands", "cancel", ...Object.keys(ends)]);
    assert.deepEqual([code, stdout], [1, "pending\nrunning\n"]);
    assert.match(stderr, /^fairlead: late: it was too late to cancel it: it ended as succeeded \(CONFLICT/m);
    assert.match(stderr, /^fairlead: deaf: the agent was asked .* not answered yet \(DEADLINE_EXCEEDED/m);
  });

  for (const wrong of [
    ["--reason", "NO_SUCH"],
    ["--since", "soon"],
    ["--state", "great"],
  ]) {
    it(`refuses ls ${wrong.join(" ")}`, async () => {
      assert.equal((await fairlead({}, ["commands", "ls", ...wrong])).code, 2);
    });
  }
});
