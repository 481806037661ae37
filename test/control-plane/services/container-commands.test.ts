import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { containerOperations } from "../../../src/control-plane/services/container-operations.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { OperationSchema } from "../../../src/gen/fairlead/agent/v1/operation_pb.js";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { ContainerService } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { idOf, seen } from "../inventory/inventory-steps.ts";
import { commandRecord, failureOf, type ServicesUnderTest, startServices } from "./services-harness.ts";

describe("commands on containers", () => {
  let api: ServicesUnderTest;

  beforeEach(async () => {
    api = await startServices();
    await api.addHost("alpha");
    api.inventory.setOnline("id-alpha", true);
    api.inventory.apply("id-alpha", seen({ id: idOf("abc"), name: "web", state: ContainerState.RUNNING }));
  });

  afterEach(() => api.close());

  const sent = () => {
    assert.equal(api.dispatcher.requests.length, 1);
    return api.dispatcher.requests[0]!;
  };

  it("O04 every operation of the schema is what one method asks for", () => {
    const asked = Object.keys(containerOperations);
    // What carries a ticket is asked for by the services that stream, and these by services of their own.
    const elsewhere = new Set(["getDiskUsage", "statPath"]);
    const known = OperationSchema.fields
      .filter((field) => field.message?.field["ticket"] === undefined)
      .map(({ localName }) => localName)
      .filter((name) => !elsewhere.has(name));
    assert.deepEqual(asked.toSorted(), known.toSorted());
    const methods = ContainerService.methods.map(({ localName }) => localName);
    assert.deepEqual(
      methods.filter((name) => !asked.includes(name)),
      ["listContainers", "getContainer"],
    );
  });

  it("O04 each call sends its operation, with all that the request says, for the container's full id", async () => {
    const container = idOf("abc");
    const gracePeriod = durationFromMs(2_500);
    await api.containers.startContainer({ container: "web" });
    await api.containers.stopContainer({ container: "abc", gracePeriod });
    await api.containers.restartContainer({ container: "web", host: "alpha", gracePeriod });
    await api.containers.killContainer({ container: "web", signal: "HUP" });
    await api.containers.pauseContainer({ container: "web" });
    await api.containers.unpauseContainer({ container: "web" });
    await api.containers.renameContainer({ container: "web", newName: "shop" });
    await api.containers.removeContainer({ container: "web", force: true, removeVolumes: true });
    const grace = { $typeName: "google.protobuf.Duration", seconds: 2n, nanos: 500_000_000 };
    assert.deepEqual(
      api.dispatcher.requests.map(({ operation: { operation }, container: named, graceMs }) => {
        const { $typeName: _, ...value } = { ...operation.value } as Record<string, unknown>;
        return [operation.case, value, named, graceMs];
      }),
      [
        ["startContainer", { container }, container, undefined],
        ["stopContainer", { container, gracePeriod: grace }, container, 2_500],
        ["restartContainer", { container, gracePeriod: grace }, container, 2_500],
        ["killContainer", { container, signal: "HUP" }, container, undefined],
        ["pauseContainer", { container }, container, undefined],
        ["unpauseContainer", { container }, container, undefined],
        ["renameContainer", { container, newName: "shop" }, container, undefined],
        ["removeContainer", { container, force: true, removeVolumes: true }, container, undefined],
      ],
    );
    const { host } = api.dispatcher.requests[0]!;
    assert.deepEqual(host, { hostId: "id-alpha", hostName: "alpha", agentId: "agent-alpha" });
  });

  it("O04 the answer says what changed, which command did it, and how the container is now and where", async () => {
    const { value } = seen({ id: idOf("abc"), name: "web", state: ContainerState.EXITED }).update;
    assert.ok(typeof value === "object" && value.$typeName === "fairlead.container.v1.Container");
    // What an agent says of the host is not believed.
    const lie = { id: "id-else", name: "else", online: false };
    api.dispatcher.outcome = {
      changed: true,
      detail: { case: "container", value: { ...value, host: lie as never } },
    };
    const stopped = await api.containers.stopContainer({ container: "web" });
    assert.equal(stopped.changed, true);
    assert.equal(stopped.commandId, "command-1");
    assert.equal(stopped.container?.state, ContainerState.EXITED);
    assert.deepEqual(
      { ...stopped.container?.host },
      {
        $typeName: "fairlead.container.v1.HostReference",
        id: "id-alpha",
        name: "alpha",
        online: true,
      },
    );
  });

  it("O05 an operation that found its work done says that nothing changed", async () => {
    api.dispatcher.outcome = { changed: false };
    const started = await api.containers.startContainer({ container: "web" });
    assert.equal(started.changed, false);
    assert.equal(started.container?.name, "web");
  });

  it("O07 what the inventory of a named host does not know is sent as the caller said it", async () => {
    const started = await api.containers.startContainer({ container: "fresh", host: "alpha" });
    assert.equal(sent().container, "fresh");
    assert.equal(started.container, undefined);
  });

  it("O07 an ambiguous container fails with its candidates, and nothing is sent", async () => {
    await api.addHost("beta");
    api.inventory.apply("id-beta", seen({ id: idOf("def"), name: "web" }));
    const error = await failureOf(api.containers.stopContainer({ container: "web" }));
    assert.equal(error.reason, "CONTAINER_AMBIGUOUS");
    assert.equal(error.metadata["candidates"], "alpha/web (abc000000000), beta/web (def000000000)");
    assert.equal(api.dispatcher.requests.length, 0);
  });

  it("O08 a create without a host goes to the only one there is", async () => {
    const spec = { image: "busybox", labels: { b: "2", a: "1" } };
    await api.containers.createContainer({ name: "new", spec, start: true });
    const { host, operation, container } = sent();
    assert.equal(host.hostId, "id-alpha");
    assert.equal(container, "new");
    assert.ok(operation.operation.case === "createContainer");
    const { name, start, spec: sentSpec } = operation.operation.value;
    assert.deepEqual([name, start, sentSpec?.image, sentSpec?.labels], ["new", true, "busybox", spec.labels]);
  });

  it("O08 a create without a host in a fleet of several, or of none, says how to choose", async () => {
    await api.addHost("beta");
    const several = await failureOf(api.containers.createContainer({ spec: { image: "busybox" } }));
    assert.equal(several.reason, "INVALID_ARGUMENT");
    assert.deepEqual(several.violations, [
      { field: "host", description: "the fleet has 2 hosts, choose one by name or id: alpha, beta" },
    ]);
    api.inventory.removeHost("id-alpha");
    api.inventory.removeHost("id-beta");
    const none = await failureOf(api.containers.createContainer({ spec: { image: "busybox" } }));
    assert.match(none.message, /no host yet/);
    assert.equal(api.dispatcher.requests.length, 0);
  });

  it("O09 inspect gives the typed part and the engine's whole JSON", async () => {
    const engineJson = JSON.stringify({ Id: idOf("abc"), Config: { Env: ["A=ü\u0000"] } });
    const container = { id: idOf("abc"), name: "web" };
    api.dispatcher.outcome = { detail: { case: "inspection", value: { container, engineJson } } };
    const inspected = await api.containers.inspectContainer({ container: "web" });
    assert.equal(inspected.engineJson, engineJson);
    assert.equal(inspected.container?.host?.name, "alpha");
    assert.equal(sent().requestId, "");
    api.dispatcher.outcome = { changed: false };
    const error = await failureOf(api.containers.inspectContainer({ container: "web" }));
    assert.equal(error.reason, "INVALID_RESULT");
  });

  it("C02 a failure keeps its reason, its words and its metadata", async () => {
    api.dispatcher.failure = new FleetError("PROTECTED_CONTAINER", "the agent runs in it", {
      metadata: { command_id: "command-7" },
    });
    const error = await failureOf(api.containers.stopContainer({ container: "web" }));
    assert.equal(error.reason, "PROTECTED_CONTAINER");
    assert.equal(error.message, "the agent runs in it");
    assert.equal(error.metadata["command_id"], "command-7");
  });

  it("C03 the deadline of the call ends the wait of the dispatcher", async () => {
    api.dispatcher.silent = true;
    const error = await failureOf(api.containers.startContainer({ container: "web" }, { timeoutMs: 60 }));
    assert.equal(error.reason, "DEADLINE_EXCEEDED");
    const { signal } = sent();
    while (!signal.aborted) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it("C04 the caller's timeout is passed on, in milliseconds and never shorter than asked for", async () => {
    await api.containers.startContainer({ container: "web" });
    await api.containers.startContainer({ container: "web", timeout: durationFromMs(90_000) });
    await api.containers.startContainer({ container: "web", timeout: { seconds: 0n, nanos: 1_000_001 } });
    assert.deepEqual(
      api.dispatcher.requests.map(({ timeoutMs }) => timeoutMs),
      [undefined, 90_000, 2],
    );
  });

  it("C25 the digest of a request is of what it says: its method and every field, not the order of a map", async () => {
    const common = { requestId: "key-1" };
    const spec = { image: "busybox" };
    await api.containers.createContainer({ ...common, spec: { ...spec, labels: { a: "1", b: "2" } } });
    await api.containers.createContainer({ ...common, spec: { ...spec, labels: { b: "2", a: "1" } } });
    await api.containers.createContainer({ ...common, spec: { ...spec, labels: { a: "1", b: "3" } } });
    await api.containers.startContainer({ ...common, container: "web" });
    await api.containers.pauseContainer({ ...common, container: "web" });
    await api.containers.pauseContainer({ ...common, container: "web", timeout: durationFromMs(5) });
    const [first, same, ...others] = api.dispatcher.requests.map(({ requestDigest }) =>
      Buffer.from(requestDigest).toString("hex"),
    );
    assert.equal(first?.length, 64);
    assert.equal(same, first);
    assert.equal(new Set([first, ...others]).size, 5);
    assert.ok(
      api.dispatcher.requests.every(({ caller, requestId }) => caller === "tester" && requestId === "key-1"),
    );
  });

  it("C25 a repeated call is for what the first one was for, even when that has gone by it", async () => {
    const earlier = { requestId: "key-1", container: idOf("abc"), createTime: api.clock.now() };
    await api.storage.commit({
      commands: [
        commandRecord({ ...earlier, operation: "remove_container" }),
        commandRecord({ ...earlier, caller: "somebody else", container: idOf("fff"), hostId: "id-else" }),
      ],
    });
    await api.addHost("beta");
    api.inventory.apply("id-beta", seen({ id: idOf("def"), name: "web" }));
    api.inventory.removeHost("id-alpha");
    await api.containers.removeContainer({ container: "web", requestId: "key-1" });
    assert.equal(sent().container, idOf("abc"));
    assert.equal(sent().host.agentId, "agent-alpha");
    api.clock.advance(24 * 60 * 60_000 + 1);
    await api.containers.removeContainer({ container: "web", requestId: "key-1" });
    assert.equal(api.dispatcher.requests[1]?.container, idOf("def"));
  });
});
