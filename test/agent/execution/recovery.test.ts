import assert from "node:assert/strict";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { Journal } from "../../../src/agent/execution/journal.ts";
import type { OperationRooms } from "../../../src/agent/execution/operations/operation-context.ts";
import { settle } from "../../../src/agent/execution/operations/settle.ts";
import { protectedLabel } from "../../../src/agent/execution/self-protection.ts";
import { RestartContainerSchema } from "../../../src/gen/fairlead/agent/v1/container_operations_pb.js";
import { OperationSchema } from "../../../src/gen/fairlead/agent/v1/operation_pb.js";
import {
  RestartPolicy_Mode,
  RestartPolicySchema,
} from "../../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { ContainerUpdateSchema } from "../../../src/gen/fairlead/container/v1/container_update_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import { silentLogger } from "../../support/silent-logger.ts";

type Operation = NonNullable<MessageInitShape<typeof OperationSchema>["operation"]>;

const pause = (container: string): Operation => ({ case: "pauseContainer", value: { container } });
const rename = (container: string, newName: string): Operation => ({
  case: "renameContainer",
  value: { container, newName },
});

const onFailure = (maxRetries: number) => ({ mode: RestartPolicy_Mode.ON_FAILURE, maxRetries });

describe("what an agent makes of commands that an earlier process left", () => {
  let asked: string[];
  let engine: SimulatedEngine;
  let harness: AgentHarness;

  beforeEach(() => {
    asked = [];
    const observe = ({ method, container }: { readonly method: string; readonly container: string }) =>
      void asked.push(`${method} ${container}`);
    engine = new SimulatedEngine({ clock: systemClock, engineId: "engine-1", observe });
    harness = new AgentHarness(engine);
  });
  afterEach(() => harness.close());

  /** A container that is paused, so that a look takes a pause for done. */
  async function paused(name: string, labels: Record<string, string> = {}): Promise<string> {
    const id = await engine.createContainer(name, sleepingSpec(labels), neverAborted);
    await engine.startContainer(id, neverAborted);
    await engine.pauseContainer(id, neverAborted);
    return id;
  }

  /** How commands end that were accepted a while ago, and at which the agent was killed. */
  async function endsOf(
    operations: readonly Operation[],
    { ownContainerId = "", agoMs = 0 } = {},
  ): Promise<(string | undefined)[]> {
    const dataDir = await harness.folder();
    const clock = { ...systemClock, now: () => systemClock.now() - agoMs };
    const journal = await Journal.open({ dataDir, clock, logger: silentLogger });
    const accepted = operations.map((operation, index) => ({
      commandId: `command-${index}`,
      attempt: 1,
      epoch: 1,
      operation: toBinary(OperationSchema, create(OperationSchema, { operation })),
    }));
    await Promise.all(accepted.map((command) => journal.accept(command)));
    journal.close();
    asked.length = 0;
    const plane = await harness.controlPlane();
    const agent = await harness.agent({ server: plane.address, dataDir, ownContainerId });
    const session = await plane.session();
    const results = await Promise.all(accepted.map(({ commandId }) => session.result(commandId)));
    await agent.close();
    return results.map(({ end }) => (end.case === "failure" ? end.value.reason : end.case));
  }

  it("O10 what would harm a protected container is refused, also where a look would settle it as done", async () => {
    const own = await paused("agent");
    const labelled = await paused("control-plane", { [protectedLabel]: "true" });
    const plain = await paused("plain", { [protectedLabel]: "no" });
    const operations = [
      ...[own, "agent", labelled, labelled.slice(0, 20), "control-plane"].map(pause),
      rename(own, "agent"),
      rename("control-plane", "control-plane"),
      { case: "restartContainer", value: { container: own } } as const,
      { case: "killContainer", value: { container: "control-plane" } } as const,
    ];
    const ends = await endsOf([...operations, pause(plain), rename("plain", "plain")], {
      ownContainerId: own,
    });
    assert.deepEqual(ends, [...operations.map(() => "PROTECTED_CONTAINER"), "outcome", "outcome"]);
    assert.deepEqual(asked, []);
  });

  it("O10 what does no harm to a protected container is settled by looking, like any other", async () => {
    const own = await paused("agent");
    await engine.unpauseContainer(own, neverAborted);
    const ends = await endsOf([{ case: "unpauseContainer", value: { container: "agent" } }], {
      ownContainerId: own,
    });
    assert.deepEqual(ends, ["outcome"]);
  });

  it("C27 what was begun is done when the container is as it was to be, and else nobody knows", async () => {
    await engine.createContainer("created", sleepingSpec(), neverAborted);
    await paused("paused");
    await paused("runs");
    await engine.unpauseContainer("runs", neverAborted);
    const done: Operation[] = [
      { case: "startContainer", value: { container: "runs" } },
      { case: "stopContainer", value: { container: "created" } },
      { case: "unpauseContainer", value: { container: "runs" } },
      { case: "removeContainer", value: { container: "none" } },
      pause("paused"),
      rename("runs", "runs"),
    ];
    const unknown: Operation[] = [
      { case: "startContainer", value: { container: "created" } },
      { case: "stopContainer", value: { container: "runs" } },
      { case: "stopContainer", value: { container: "none" } },
      { case: "unpauseContainer", value: { container: "paused" } },
      { case: "removeContainer", value: { container: "runs" } },
      { case: "restartContainer", value: { container: "runs" } },
      pause("runs"),
      rename("runs", "another"),
    ];
    const ends = await endsOf([...done, ...unknown]);
    assert.deepEqual(ends, [...done.map(() => "outcome"), ...unknown.map(() => "OUTCOME_UNKNOWN")]);
    assert.deepEqual(asked, []);
  });

  it("C27 what no look can tell is unknown at once, also while the engine cannot be asked", async () => {
    const rooms = { engine: { getContainer: () => Promise.reject(new Error("not there")) } };
    const value = create(RestartContainerSchema, { container: "web" });
    await assert.rejects(
      settle({ case: "restartContainer", value }, "web", rooms as unknown as OperationRooms, neverAborted),
      { reason: "OUTCOME_UNKNOWN" },
    );
  });

  it("C27 an update that was begun is done when all of its limits are in force, and else nobody knows", async () => {
    const id = await engine.createContainer("web", sleepingSpec(), neverAborted);
    const update = create(ContainerUpdateSchema, {
      memoryBytes: 64n * 1024n * 1024n,
      milliCpus: 500,
      pids: 40,
      cpuShares: 512,
      restartPolicy: onFailure(2),
    });
    await engine.updateContainer(id, update, neverAborted);
    const others = [
      { ...update, memoryBytes: 65n },
      { ...update, milliCpus: 501 },
      { ...update, pids: 0 },
      { ...update, cpuShares: 1024 },
      { ...update, restartPolicy: create(RestartPolicySchema, onFailure(3)) },
    ];
    const operations = [update, create(ContainerUpdateSchema, { pids: 40 }), ...others].map(
      (wanted) => ({ case: "updateContainer", value: { container: id, update: wanted } }) as const,
    );
    const ends = await endsOf(operations);
    assert.deepEqual(ends, ["outcome", "outcome", ...others.map(() => "OUTCOME_UNKNOWN")]);
    assert.deepEqual(asked, []);
  });

  it("O10 a protected container that has the name only since tells nothing of the one that had it before", async () => {
    await paused("control-plane", { [protectedLabel]: "true" });
    assert.deepEqual(await endsOf([pause("control-plane")], { agoMs: 60_000 }), ["OUTCOME_UNKNOWN"]);
  });
});
