import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ownContainerIdFrom } from "../../../src/agent/execution/own-container.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import type { Container } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { FleetError } from "../../../src/domain/errors.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeSession } from "../../support/fake-control-plane.ts";

const own = "0123456789abcdef".repeat(4);

const shell = ["sh"];
const ticket = new Uint8Array(32);

const harmful = (container: string) =>
  [
    { case: "stopContainer", value: { container } },
    { case: "restartContainer", value: { container } },
    { case: "killContainer", value: { container, signal: "HUP" } },
    { case: "pauseContainer", value: { container } },
    { case: "renameContainer", value: { container, newName: "other" } },
    { case: "removeContainer", value: { container, force: true } },
    { case: "updateContainer", value: { container, update: { memoryBytes: 6_291_456n } } },
    { case: "openProcess", value: { container, ticket, process: { command: shell } } },
    { case: "openProcess", value: { container, ticket } },
    { case: "runExec", value: { container, exec: { command: shell } } },
    { case: "copyOut", value: { container, ticket, path: "/" } },
    { case: "copyIn", value: { container, ticket, path: "/" } },
  ] as const;

describe("self-protection", () => {
  class CountingEngine extends SimulatedEngine {
    looks = 0;
    blind = false;

    override async getContainer(container: string, signal: AbortSignal) {
      this.looks += 1;
      if (this.blind) throw new FleetError("ENGINE_FAILED", "cannot look");
      return await super.getContainer(container, signal);
    }
  }

  let acts: string[];
  let engine: CountingEngine;
  let harness: AgentHarness;
  let session: FakeSession;
  let ownId: string;
  let labelled: string;
  let plain: string;

  beforeEach(async () => {
    acts = [];
    const observe = ({ method }: { readonly method: string }) => void acts.push(method);
    engine = new CountingEngine({ clock: systemClock, engineId: "engine-1", observe });
    harness = new AgentHarness(engine);
    const running = async (name: string, labels = {}) => {
      const id = await engine.createContainer(name, sleepingSpec(labels), neverAborted);
      await engine.startContainer(id, neverAborted);
      return id;
    };
    ownId = await running("agent");
    labelled = await running("control-plane", { "dev.fairlead.protected": "true" });
    plain = await running("plain", { "dev.fairlead.protected": "no" });
    const plane = await harness.controlPlane();
    await harness.agent({ server: plane.address, ownContainerId: ownId.slice(0, 12) });
    session = await plane.session();
    await session.until("the inventory", () => session.inventory().get(plain));
    acts.length = 0;
    engine.looks = 0;
  });
  afterEach(() => harness.close());

  it("O10 its own container and a labelled one are refused whatever would harm them or enter them, with no round trip", async () => {
    for (const container of [ownId, labelled]) {
      for (const operation of harmful(container)) {
        const { end } = await session.result(session.command(operation));
        assert.equal(end.case === "failure" && end.value.reason, "PROTECTED_CONTAINER", operation.case);
      }
    }
    assert.deepEqual(acts, []);
    assert.equal(engine.looks, 0);
  });

  it("O10 names and prefixes are refused as well", async () => {
    for (const container of ["agent", ownId.slice(0, 20), "control-plane"]) {
      for (const operation of harmful(container)) {
        const { end } = await session.result(session.command(operation));
        assert.equal(end.case === "failure" && end.value.reason, "PROTECTED_CONTAINER", operation.case);
      }
    }
    assert.deepEqual(acts, []);
  });

  it("O10 what cannot be looked at is not touched", async () => {
    engine.blind = true;
    for (const operation of harmful("agent")) {
      const { end } = await session.result(session.command(operation));
      assert.equal(end.case === "failure" && end.value.reason, "ENGINE_FAILED", operation.case);
    }
    assert.deepEqual(acts, []);
  });

  it("O10 what does no harm is allowed, and others are not protected", async () => {
    const started = await session.result(
      session.command({ case: "startContainer", value: { container: ownId } }),
    );
    assert.equal(started.end.case, "outcome");
    const stopped = await session.result(
      session.command({ case: "stopContainer", value: { container: plain, gracePeriod: durationFromMs(0) } }),
    );
    assert.equal(stopped.end.case, "outcome");
  });

  it("O10 the inventory says which containers are protected", () => {
    const containers = session
      .all("inventory")
      .flatMap(({ update }): Container[] => (update.case === "container" ? [update.value] : []));
    const isProtected = new Map(containers.map((container) => [container.id, container.protected]));
    assert.deepEqual(
      [ownId, labelled, plain].map((id) => isProtected.get(id)),
      [true, true, false],
    );
  });
});

const mount = (root: string, target: string) =>
  `512 490 254:1 ${root} ${target} rw,relatime - ext4 /dev/vda1 rw\n`;

describe("the traces of the own container", () => {
  const nothing = { mountInfo: "", cgroup: "0::/", hostname: "myhost" };

  it("O10 are found in what the engine mounts into a container", () => {
    const mountInfo = mount(`/var/lib/docker/containers/${own}/hostname`, "/etc/hostname");
    assert.equal(ownContainerIdFrom({ ...nothing, mountInfo }), own);
  });

  it("O10 are not the mounts of other containers that a host sees", () => {
    const mountInfo = mount("/", `/var/lib/docker/containers/${own}/mounts/shm`);
    assert.equal(ownContainerIdFrom({ ...nothing, mountInfo }), undefined);
  });

  it("O10 are found in the control group", () => {
    assert.equal(ownContainerIdFrom({ ...nothing, cgroup: `0::/system.slice/docker-${own}.scope` }), own);
    assert.equal(ownContainerIdFrom({ ...nothing, cgroup: `12:pids:/docker/${own}` }), own);
  });

  it("O10 are at least the host name that an engine gives", () => {
    assert.equal(ownContainerIdFrom({ ...nothing, hostname: "0123456789ab" }), "0123456789ab");
    assert.equal(ownContainerIdFrom(nothing), undefined);
  });
});
