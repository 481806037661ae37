import assert from "node:assert/strict";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { newId } from "../../../src/domain/ids.ts";
import { CommandState } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import { eventually } from "../../support/control-plane-harness.ts";
import { commandRecord, failureOf, type ServicesUnderTest, startServices } from "./services-harness.ts";

describe("the command service", () => {
  let api: ServicesUnderTest;

  beforeEach(async () => {
    api = await startServices();
    await api.addHost("alpha");
  });

  afterEach(() => api.close());

  it("C10 everything about a command can be read afterwards", async () => {
    const createTime = api.clock.now();
    const record = commandRecord({
      state: "FAILED",
      reason: "CONFLICT",
      message: "it runs",
      metadata: { engine: "409" },
      attempt: 2,
      sessionEpoch: 7,
      requestId: "key",
      timeoutMs: 1_500,
      createTime,
      dispatchTime: createTime + 1,
      acceptTime: createTime + 2,
      endTime: createTime + 1_234,
      expireTime: createTime + 1_500,
      cancelRequested: true,
      transitions: [{ state: "FAILED", time: createTime + 1_234, attempt: 2, sessionEpoch: 7 }],
    });
    await api.storage.commit({ commands: [record] });
    const { command } = await api.commands.getCommand({ id: record.id });
    const { $typeName: _, metadata, transitions, ...told } = command!;
    assert.deepEqual(
      transitions.map(({ $typeName: __, ...transition }) => transition),
      [
        {
          state: CommandState.FAILED,
          transitionTime: timestampFromMs(createTime + 1_234),
          attempt: 2,
          sessionEpoch: 7,
        },
      ],
    );
    assert.deepEqual({ ...metadata }, { engine: "409" });
    assert.deepEqual(told, {
      id: record.id,
      operation: "stop_container",
      hostId: "id-alpha",
      hostName: "alpha",
      agentId: "agent-alpha",
      container: "web",
      containerName: "web",
      caller: "tester",
      requestId: "key",
      state: CommandState.FAILED,
      reason: "CONFLICT",
      message: "it runs",
      changed: false,
      attempt: 2,
      sessionEpoch: 7,
      timeout: durationFromMs(1_500),
      createTime: timestampFromMs(createTime),
      dispatchTime: timestampFromMs(createTime + 1),
      acceptTime: timestampFromMs(createTime + 2),
      endTime: timestampFromMs(createTime + 1_234),
      duration: durationFromMs(1_234),
      expireTime: timestampFromMs(createTime + 1_500),
      cancelRequested: true,
    });
  });

  it("C10 a command that has not ended has no duration, and no clock that went back makes one negative", async () => {
    const createTime = api.clock.now();
    const open = commandRecord({ createTime });
    const back = commandRecord({ createTime, endTime: createTime - 5_000, state: "SUCCEEDED" });
    await api.storage.commit({ commands: [open, back] });
    const read = async (id: string) => (await api.commands.getCommand({ id })).command;
    assert.deepEqual(
      [(await read(open.id))?.endTime, (await read(open.id))?.duration],
      [undefined, undefined],
    );
    assert.deepEqual((await read(back.id))?.duration, durationFromMs(0));
  });

  it("C10 an unknown command is not found", async () => {
    const error = await failureOf(api.commands.getCommand({ id: newId() }));
    assert.equal(error.reason, "COMMAND_NOT_FOUND");
  });

  it("C10 commands are listed newest first, by host, container and state, page by page", async () => {
    const goneHost = newId();
    const records = Array.from({ length: 9 }, (_, index) =>
      commandRecord({
        state: index % 3 === 0 ? "SUCCEEDED" : "PENDING",
        container: index < 5 ? "web" : "c0ffee",
        containerName: index < 5 ? "web" : "db",
        hostId: index === 8 ? goneHost : "id-alpha",
        caller: index === 2 ? "alice" : "tester",
        reason: index === 4 ? "CONFLICT" : "",
        createTime: index * 1_000,
      }),
    );
    await api.storage.commit({ commands: records });
    const newestFirst = records.map(({ id }) => id).toReversed();
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await api.commands.listCommands({ pageSize: 4, pageToken });
      listed.push(...page.commands.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(listed, newestFirst);

    const idsOf = async (request: Parameters<typeof api.commands.listCommands>[0]) =>
      (await api.commands.listCommands(request)).commands.map(({ id }) =>
        records.findIndex((one) => one.id === id),
      );
    assert.deepEqual(await idsOf({ host: "alpha", container: "db" }), [7, 6, 5]);
    assert.deepEqual(await idsOf({ host: "alpha", container: "c0ffee" }), [7, 6, 5]);
    assert.deepEqual(await idsOf({ states: [CommandState.SUCCEEDED] }), [6, 3, 0]);
    assert.deepEqual(await idsOf({ states: [CommandState.UNSPECIFIED] }), []);
    assert.deepEqual(await idsOf({ caller: "alice" }), [2]);
    assert.deepEqual(await idsOf({ reasons: ["CONFLICT"] }), [4]);
    assert.deepEqual(await idsOf({ createdSinceTime: timestampFromMs(6_000) }), [8, 7, 6]);
    assert.deepEqual(await idsOf({ createdBeforeTime: timestampFromMs(2_000) }), [1, 0]);
    // Of a host that is gone the history is left, by its id.
    assert.deepEqual(await idsOf({ host: goneHost }), [8]);
    const error = await failureOf(api.commands.listCommands({ host: "alhpa" }));
    assert.equal(error.metadata["close_names"], "alpha");
  });

  it("C38 nobody is told any more who has followed a command to its end, or has left", async () => {
    const [ended, open] = [commandRecord({ state: "SUCCEEDED" }), commandRecord({})];
    await api.storage.commit({ commands: [ended, open] });
    for await (const { command } of api.commands.watchCommand({ id: ended.id })) {
      assert.equal(command?.state, CommandState.SUCCEEDED);
    }
    assert.equal(api.dispatcher.watchers, 0);
    const leaving = new AbortController();
    const following = (async () => {
      for await (const _ of api.commands.watchCommand({ id: open.id }, { signal: leaving.signal })) {
        assert.equal(api.dispatcher.watchers, 1);
        leaving.abort();
      }
    })();
    await failureOf(following);
    await eventually(() => api.dispatcher.watchers === 0, "nobody is told");
  });
});
