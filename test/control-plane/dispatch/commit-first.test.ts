import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import { CommandJournal } from "../../../src/control-plane/dispatch/command-journal.ts";
import { defaultDispatchSettings, Dispatcher } from "../../../src/control-plane/dispatch/dispatcher.ts";
import { EventLog } from "../../../src/control-plane/events/event-log.ts";
import type { AgentSession } from "../../../src/control-plane/session/agent-session.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import {
  AcceptanceSchema,
  type Command,
  CommandResultSchema,
} from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import { ControlFrameSchema } from "../../../src/gen/fairlead/agent/v1/frame_pb.js";
import { HelloSchema } from "../../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { OperationSchema } from "../../../src/gen/fairlead/agent/v1/operation_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import type { CommitBatch, Storage } from "../../../src/storage/storage.ts";
import { silent, TemporaryStorage } from "../../storage/temporary-storage.ts";
import { eventually } from "../../support/control-plane-harness.ts";

const agentId = "agent-1";
const stopWeb = create(OperationSchema, {
  operation: { case: "stopContainer", value: { container: "web" } },
});

/** A session that only notes what is sent in it. */
class NotedSession {
  readonly commands: Command[] = [];
  readonly acknowledged: string[] = [];
  readonly identity: AgentSession["identity"];
  readonly logger = silent;

  constructor(epoch: number, journalId = "journal-1") {
    const names = { sessionId: `session-${epoch}`, agentId, hostId: "host-1", hostName: "one" };
    this.identity = { ...names, epoch, journalId, instanceId: "", address: "" };
  }

  fits(): boolean {
    return true;
  }

  send(item: Uint8Array): boolean {
    const { commands, acknowledgedCommandIds } = fromBinary(ControlFrameSchema, item);
    this.commands.push(...commands);
    this.acknowledged.push(...acknowledgedCommandIds);
    return true;
  }
}

describe("what is written down before it is sent", () => {
  let folder: TemporaryStorage;
  let storage: Storage;
  let dispatcher: Dispatcher;
  let current: NotedSession | undefined;
  let gate: Promise<void>;
  let openGate: () => void;
  let afterCommit: (() => void) | undefined;
  /** The states that were given to be written, in their order. */
  let written: string[];

  /** From now on nothing is committed, until the gate is opened. */
  function closeGate(): void {
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    openGate = held.resolve;
  }

  function enter(session: NotedSession): void {
    current = session;
    dispatcher.opened(session as unknown as AgentSession, create(HelloSchema));
  }

  function dispatch(whenOffline: "queue" | "fail-fast") {
    const call = dispatcher.dispatch({
      host: { hostId: "host-1", hostName: "one", agentId },
      operation: stopWeb,
      container: "web",
      timeoutMs: 5_000,
      whenOffline,
      caller: "test",
      requestId: "",
      requestDigest: new Uint8Array(0),
      signal: neverAborted,
    });
    call.catch(() => undefined);
    return call;
  }

  /** A command that the agent has accepted. */
  async function accepted() {
    const noted = new NotedSession(1);
    const session = noted as unknown as AgentSession;
    enter(noted);
    const call = dispatch("fail-fast");
    await eventually(() => noted.commands.length === 1, "it is sent");
    const commandId = noted.commands[0]?.commandId ?? "";
    dispatcher.accepted(session, create(AcceptanceSchema, { commandId, attempt: 1 }));
    return { call, session, commandId, noted };
  }

  beforeEach(async () => {
    folder = new TemporaryStorage();
    storage = await folder.open();
    openGate = () => undefined;
    gate = Promise.resolve();
    current = undefined;
    afterCommit = undefined;
    written = [];
    const slow = {
      commands: storage.commands,
      commit: (batch: CommitBatch) => {
        written.push(...(batch.commands ?? []).map(({ state }) => state));
        const committed = gate.then(() => storage.commit(batch));
        // After whoever committed has gone on, and before whoever waits for that one.
        const hook = async () => {
          await committed;
          afterCommit?.();
        };
        queueMicrotask(() => void hook());
        return committed;
      },
    } as Storage;
    const events = new EventLog({ storage, clock: systemClock, logger: silent });
    const wheel = new TimerWheel();
    const base = { storage: slow, clock: systemClock, wheel, logger: silent, random: Math.random };
    const journal = new CommandJournal({ ...base, events });
    dispatcher = new Dispatcher({
      ...base,
      journal,
      sessions: {
        current: () => current as unknown as AgentSession,
        isOnline: () => current !== undefined,
        size: 1,
        all: () => [],
        rename: () => undefined,
        remove: () => undefined,
      },
      settings: defaultDispatchSettings,
    });
  });

  afterEach(async () => {
    openGate();
    dispatcher.close();
    await folder.remove();
  });

  it("C40 a command that waited is on the disk as sent before it is sent", async () => {
    await dispatch("queue");
    closeGate();
    const session = new NotedSession(1);
    enter(session);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(session.commands, []);
    openGate();
    await eventually(() => session.commands.length === 1, "it is sent");
    assert.deepEqual(folder.query("SELECT state FROM command"), ["DISPATCHED"]);
  });

  it("C31 a command that is cancelled while it is being written as sent never runs", async () => {
    const { commandId } = await dispatch("queue");
    closeGate();
    const session = new NotedSession(1);
    enter(session);
    const cancelled = dispatcher.cancel(commandId, 5_000, neverAborted);
    openGate();
    assert.equal((await cancelled).state, "CANCELLED");
    assert.deepEqual(session.commands, []);
  });

  it("C31 a command whose cancellation is just being written is not sent to an agent that comes back", async () => {
    const { commandId } = await dispatch("queue");
    closeGate();
    const cancelled = dispatcher.cancel(commandId, 5_000, neverAborted);
    const session = new NotedSession(1);
    enter(session);
    openGate();
    assert.equal((await cancelled).state, "CANCELLED");
    assert.deepEqual(session.commands, []);
  });

  it("C31 a command that a newer session has taken over is not called cancelled, because its agent may run it", async () => {
    const { commandId } = await dispatch("queue");
    closeGate();
    enter(new NotedSession(1));
    const session = new NotedSession(2);
    enter(session);
    assert.equal(session.commands.length, 1);
    const cancelled = dispatcher.cancel(commandId, 50, neverAborted);
    openGate();
    assert.equal((await cancelled).state, "DISPATCHED");
  });

  it("C28 a command that is written while a newer session takes over is sent in that one", async () => {
    enter(new NotedSession(1));
    closeGate();
    void dispatch("fail-fast");
    await new Promise((resolve) => setImmediate(resolve));
    const session = new NotedSession(2);
    enter(session);
    openGate();
    await eventually(() => session.commands.length === 1, "it is sent");
    assert.equal(session.commands[0]?.sessionEpoch, 2);
  });

  it("C28 a command that a newer session finds when it begins is sent in that one once", async () => {
    enter(new NotedSession(1));
    const session = new NotedSession(2);
    afterCommit = () => {
      afterCommit = undefined;
      enter(session);
    };
    void dispatch("fail-fast");
    await eventually(() => session.commands.length > 0, "it is sent");
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(
      session.commands.map(({ sessionEpoch }) => sessionEpoch),
      [2],
    );
  });

  it("C08 of two ends that come before the first is written, the first is written, and nothing else", async () => {
    const { call, session, commandId } = await accepted();
    closeGate();
    const failure = { case: "failure", value: { reason: "CONFLICT", message: "first" } } as const;
    dispatcher.ended(session, create(CommandResultSchema, { commandId, attempt: 1, end: failure }));
    const success = { case: "outcome", value: { changed: true } } as const;
    dispatcher.ended(session, create(CommandResultSchema, { commandId, attempt: 1, end: success }));
    openGate();
    await assert.rejects(call, /first/);
    assert.deepEqual(written, ["DISPATCHED", "FAILED"]);
    assert.equal((await dispatcher.find(commandId)).state, "FAILED");
  });

  it("C36 an end that could not be stored is stored when that is possible again, and only then acknowledged", async () => {
    const { call, session, commandId, noted } = await accepted();
    const full = new FleetError("STORAGE_UNAVAILABLE", "no room");
    gate = Promise.reject(full);
    gate.catch(() => undefined);
    const end = { case: "outcome", value: { changed: true } } as const;
    dispatcher.ended(session, create(CommandResultSchema, { commandId, attempt: 1, end }));
    await eventually(() => written.includes("SUCCEEDED"), "its end is given to be written");
    await assert.rejects(gate, full);
    assert.deepEqual(noted.acknowledged, []);
    gate = Promise.resolve();
    assert.equal((await call).outcome?.changed, true);
    assert.deepEqual(noted.acknowledged, [commandId]);
    assert.equal((await storage.commands.get(commandId))?.state, "SUCCEEDED");
  });

  it("C35 C38 an acceptance is written with the end that follows it, not by itself", async () => {
    const { call, session, commandId } = await accepted();
    const end = { case: "outcome", value: { changed: true } } as const;
    dispatcher.ended(session, create(CommandResultSchema, { commandId, attempt: 1, end }));
    await call;
    assert.deepEqual(written, ["DISPATCHED", "SUCCEEDED"]);
    const { transitions, acceptTime } = await dispatcher.find(commandId);
    assert.deepEqual(
      transitions.map(({ state }) => state),
      ["PENDING", "DISPATCHED", "ACCEPTED", "SUCCEEDED"],
    );
    assert.ok(acceptTime !== undefined);
  });

  it("C26 an acceptance that no end follows is written by itself, once", async () => {
    const { commandId } = await accepted();
    assert.deepEqual(written, ["DISPATCHED"]);
    await eventually(
      async () => (await storage.commands.get(commandId))?.state === "ACCEPTED",
      "the acceptance is on the disk",
    );
    await dispatcher.cancel(commandId, 1, neverAborted);
    dispatcher.close();
    assert.deepEqual(written, ["DISPATCHED", "ACCEPTED", "ACCEPTED"]);
  });

  it("C35 an acceptance that was written with the next step is not written by itself", async () => {
    const { commandId } = await accepted();
    await dispatcher.cancel(commandId, 1, neverAborted);
    dispatcher.close();
    assert.deepEqual(written, ["DISPATCHED", "ACCEPTED"]);
  });

  it("C26 an acceptance that waits to be written is written when the control plane goes", async () => {
    await accepted();
    dispatcher.close();
    assert.deepEqual(written, ["DISPATCHED", "ACCEPTED"]);
  });
});
