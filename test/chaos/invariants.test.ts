import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Command, CommandSchema, CommandState } from "../../src/gen/fairlead/command/v1/command_pb.js";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import type { Execution } from "../support/chaos/engine-host.ts";
import type { Answer, Ask, History } from "../support/chaos/history.ts";
import { type PromiseName, promises, violationsOf } from "../support/chaos/invariants.ts";

const ask: Ask = {
  index: 1,
  host: "host-1",
  operation: "start",
  container: "c1",
  newName: "",
  requestId: "key",
  offlinePolicy: "wait",
  timeoutMs: 5_000,
  starts: false,
  already: false,
  impossible: false,
  expiresAfterMs: undefined,
  hangsUpAfterMs: undefined,
  cancelledAfterMs: undefined,
  callers: 1,
};
const running = { id: "c1", name: "chaos-1", state: ContainerState.RUNNING };
const exited = { ...running, state: ContainerState.EXITED };
const answer: Answer = {
  ask,
  kind: "ok",
  commandId: "one",
  changed: true,
  queued: false,
  seen: running,
  atMs: 2_000,
};
const execution: Execution = {
  host: "host-1",
  method: "start",
  container: "c1",
  argument: "",
  incarnation: 1,
  askedMs: 1_500,
};

function command(more: MessageInitShape<typeof CommandSchema> = {}): Command {
  return create(CommandSchema, {
    id: "one",
    operation: "start_container",
    hostName: "host-1",
    container: "c1",
    state: CommandState.SUCCEEDED,
    changed: true,
    createTime: timestampFromMs(1_000),
    endTime: timestampFromMs(1_900),
    timeout: durationFromMs(5_000),
    ...more,
  });
}

/** A run of one command in which all went well, but for what is said otherwise. */
function history(more: Partial<History> = {}): History {
  const commands = more.commands ?? [command()];
  return {
    asks: [ask],
    answers: [answer],
    sightings: [],
    inspections: [],
    executions: [execution],
    created: new Map(),
    breakages: [],
    incidents: [],
    takeovers: [],
    intrusions: [],
    commands,
    commandsAgain: commands,
    endedEvents: commands.map(({ id }) => id),
    ...more,
  };
}

const failed = { state: CommandState.FAILED, changed: false, reason: "ENGINE_UNAVAILABLE" };
const unknown = { state: CommandState.OUTCOME_UNKNOWN, changed: false, reason: "OUTCOME_UNKNOWN" };
const refused: Answer = {
  ask,
  kind: "error",
  reason: "AGENT_OFFLINE",
  message: "",
  commandId: undefined,
  lost: false,
  atMs: 2_000,
};

const breaches: Readonly<Record<PromiseName, Partial<History>>> = {
  "nothing is executed twice": { executions: [execution, { ...execution, incarnation: 2 }] },
  "one request is one command": { commands: [command(), command({ id: "two" })] },
  "what succeeded was executed exactly once": { executions: [] },
  "what is said to have done nothing did nothing": { answers: [], commands: [command(failed)] },
  "a refused call leaves no command": { answers: [refused] },
  "nothing acknowledged is lost": { commands: [] },
  "an end is for ever": { commandsAgain: [command({ endTime: timestampFromMs(1_950) })] },
  "every command ends": {
    answers: [],
    commands: [command({ state: CommandState.ACCEPTED })],
    endedEvents: [],
  },
  "each end is one event": { endedEvents: ["one", "one"] },
  "an unknown outcome has a cause": { answers: [], commands: [command(unknown)] },
  "what succeeded can be seen": { inspections: [{ ask, commandId: "one", seen: exited }] },
  "nothing comes from an agent that was replaced": {
    takeovers: [{ host: "host-1", incarnation: 2, atMs: 1_400 }],
  },
  "no two agents use one data folder": {
    intrusions: [{ host: "host-1", incarnation: 2, outcome: "online", message: "" }],
  },
  "no call fails for a reason of its own": {
    answers: [answer, { ...refused, reason: "REQUEST_ID_REUSED" }],
  },
};

describe("the promises of a run", () => {
  it("are kept by a run in which all went well", () => {
    assert.deepEqual(violationsOf(history()), []);
  });

  for (const promise of promises) {
    it(`are seen to be broken: ${promise}`, () => {
      const broken = violationsOf(history(breaches[promise])).map((violation) => violation.promise);
      assert.deepEqual(broken, [promise]);
    });
  }

  it("let an outcome be unknown when the agent was killed meanwhile, its engine broke off, or its time was over", () => {
    const excuses: Partial<History>[] = [
      { incidents: [{ host: "host-1", kind: "agent-killed", atMs: 1_200 }] },
      {
        incidents: [{ host: "host-1", kind: "journal-lost", atMs: 900 }],
        takeovers: [{ host: "host-1", incarnation: 1, atMs: 1_100 }],
      },
      { breakages: [{ host: "host-1", container: "c1" }] },
      {
        breakages: [{ host: "host-1", container: "of what was created" }],
        created: new Map([["of what was created", "c1"]]),
      },
      { commands: [command({ ...unknown, endTime: timestampFromMs(6_000) })] },
    ];
    for (const excuse of excuses) {
      const lost = history({ answers: [], commands: [command(unknown)], ...excuse });
      assert.deepEqual(violationsOf(lost), []);
    }
  });

  it("do not let an outcome be unknown for what happened before", () => {
    const lost = history({
      answers: [],
      commands: [command(unknown)],
      incidents: [{ host: "host-1", kind: "agent-killed", atMs: 500 }],
      takeovers: [{ host: "host-1", incarnation: 2, atMs: 900 }],
      executions: [{ ...execution, incarnation: 2 }],
    });
    assert.equal(violationsOf(lost)[0]?.promise, "an unknown outcome has a cause");
  });

  it("take what a creation starts for its own", () => {
    const creation = { ...ask, operation: "create" as const, container: "chaos-1", starts: true };
    const made: Execution = { ...execution, method: "create", container: "chaos-1" };
    const started: Execution = { ...execution, container: "c1" };
    const shown = {
      asks: [creation],
      answers: [],
      created: new Map([["c1", "chaos-1"]]),
      commands: [command({ operation: "create_container", container: "chaos-1" })],
    };
    assert.deepEqual(violationsOf(history({ ...shown, executions: [made, started] })), []);
    const [violation] = violationsOf(history({ ...shown, executions: [made, started, started] }));
    assert.equal(violation?.promise, "nothing is executed twice");
  });
});
