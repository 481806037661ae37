import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ContainerSpecSchema } from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { eventually } from "../support/control-plane-harness.ts";
import { docker, removeContainers, requireDocker, testImage, uniqueName } from "../support/docker.ts";
import { Fleet, patienceMs } from "../support/fleet.ts";
import { dockerFleetEngine, type FleetEngine, fleetImage } from "../support/fleet-engine.ts";

/** The machine's own engine is no test's to stop. */
async function refuse(): Promise<never> {
  throw new Error("only a private engine may be stopped");
}

describe("docker: what becomes of containers that are not well", function () {
  this.timeout(30_000);
  this.slow(10_000);
  let engine: FleetEngine | undefined;

  before(async function () {
    await requireDocker(this);
    await testImage();
    const subject = uniqueName("unwell");
    engine = dockerFleetEngine(docker, {
      socketPath: "/var/run/docker.sock",
      subject,
      fail: refuse,
      recover: refuse,
      after: () => removeContainers(subject),
    });
  });
  after(() => engine?.dispose());

  it("L01 L05 a health check that passes and then fails is one event each, however often it is run", async () => {
    const check = { interval: durationFromMs(200), timeout: durationFromMs(5_000), retries: 1 };
    const types = [EventType.CONTAINER_HEALTHY, EventType.CONTAINER_UNHEALTHY];
    const told = await eventsOf(types, {
      command: ["sh", "-c", "sleep 1; echo ill > /ill; sleep 600"],
      healthCheck: { command: ["sh", "-c", "! cat /ill"], ...check },
    });
    assert.deepEqual(told, types);
  });

  it("L01 a container that the kernel kills for want of memory is told so, and that it died", async () => {
    const types = [EventType.CONTAINER_OUT_OF_MEMORY, EventType.CONTAINER_DIED];
    const told = await eventsOf(types, {
      command: ["sh", "-c", "text=0123456789; while true; do text=$text$text; done"],
      limits: { memoryBytes: 8n * 1024n ** 2n },
    });
    assert.deepEqual(new Set(told), new Set(types));
  });

  /** Runs a container until as many of these events are told as there are types; all that are told by then. */
  async function eventsOf(types: EventType[], init: MessageInitShape<typeof ContainerSpecSchema>) {
    assert.ok(engine !== undefined);
    await using fleet = await Fleet.start();
    await fleet.enrol("main", engine.engine);
    const labels = { ...engine.labels };
    const spec = create(ContainerSpecSchema, { image: fleetImage, labels, ...init });
    const name = engine.uniqueName();
    const { container } = await fleet.api.containers.createContainer({
      host: "main",
      name,
      spec,
      start: true,
    });
    const told = () => fleet.events({ types, container: container?.id ?? "" });
    await eventually(async () => (await told()).length >= types.length, "all are told", patienceMs);
    return (await told()).map(({ type }) => type);
  }
});
