import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { idOf, seen } from "../inventory/inventory-steps.ts";
import { failureOf, type ServicesUnderTest, startServices } from "./services-harness.ts";

describe("the host service", () => {
  let api: ServicesUnderTest;

  beforeEach(async () => {
    api = await startServices();
  });

  afterEach(() => api.close());

  it("O18 a host is what was kept of it and what is true now", async () => {
    await api.addHost("alpha", {
      hostname: "alpha.example",
      cpuCount: 8,
      memoryBytes: 2 ** 40,
      simulated: true,
    });
    api.inventory.setOnline("id-alpha", true);
    api.inventory.setEngine("id-alpha", true);
    api.inventory.apply("id-alpha", seen({ id: idOf("1"), name: "web" }));
    api.inventory.apply("id-alpha", seen({ id: idOf("2"), name: "job", state: ContainerState.EXITED }));
    const { host } = await api.hosts.getHost({ host: "alpha" });
    assert.equal(host?.id, "id-alpha");
    assert.equal(host.agentId, "agent-alpha");
    assert.equal(host.agentVersion, "1.2.3");
    assert.deepEqual([host.online, host.engineAvailable], [true, true]);
    assert.deepEqual([host.containerCount, host.runningContainerCount], [2, 1]);
    assert.deepEqual(host.createTime, timestampFromMs(api.clock.now()));
    assert.equal(host.connectTime, undefined);
    const { facts } = host;
    assert.deepEqual(
      [facts?.engineId, facts?.hostname, facts?.cpuCount, facts?.memoryBytes, facts?.simulated],
      ["engine-alpha", "alpha.example", 8, 1_099_511_627_776n, true],
    );
  });

  it("O18 hosts are listed by name, page by page, while hosts come and go", async () => {
    for (const name of ["delta", "alpha", "charlie", "bravo", "echo"]) {
      await api.addHost(name);
    }
    const first = await api.hosts.listHosts({ pageSize: 2 });
    assert.deepEqual(
      first.hosts.map(({ name }) => name),
      ["alpha", "bravo"],
    );
    await api.hosts.deleteHost({ host: "bravo" });
    await api.addHost("aaron");
    const second = await api.hosts.listHosts({ pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(
      second.hosts.map(({ name }) => name),
      ["charlie", "delta"],
    );
    const last = await api.hosts.listHosts({ pageSize: 2, pageToken: second.nextPageToken });
    assert.deepEqual(
      last.hosts.map(({ name }) => name),
      ["echo"],
    );
    assert.equal(last.nextPageToken, "");
  });

  it("O18 an unknown host is not found, and names like it are told", async () => {
    await api.addHost("production-1");
    for (const call of [
      api.hosts.getHost({ host: "productoin-1" }),
      api.hosts.deleteHost({ host: "productoin-1" }),
    ]) {
      const error = await failureOf(call);
      assert.equal(error.reason, "HOST_NOT_FOUND");
      assert.equal(error.metadata["close_names"], "production-1");
    }
  });

  it("E13 a deleted host is gone everywhere: its session, its commands, its containers, its row; and an event says who did it", async () => {
    await api.addHost("alpha");
    api.inventory.apply("id-alpha", seen({ id: idOf("1"), name: "web" }));
    const { host } = await api.hosts.deleteHost({ host: "alpha" });
    assert.deepEqual([host?.name, host?.containerCount], ["alpha", 1]);
    assert.deepEqual(api.endedSessions, ["agent-alpha AGENT_REVOKED"]);
    assert.deepEqual(api.dispatcher.removedAgents, ["agent-alpha"]);
    assert.deepEqual(api.inventory.hosts(), []);
    assert.deepEqual((await api.hosts.listHosts({})).hosts, []);
    assert.equal((await failureOf(api.hosts.getHost({ host: "id-alpha" }))).reason, "HOST_NOT_FOUND");
    assert.equal((await failureOf(api.hosts.deleteHost({ host: "alpha" }))).reason, "HOST_NOT_FOUND");
    const events = await api.events.list({ types: [EventType.HOST_DELETED] }, 0, 10);
    assert.deepEqual(
      events.map(({ hostId, hostName, actor }) => [hostId, hostName, actor]),
      [["id-alpha", "alpha", "tester"]],
    );
  });

  it("E13 of two who delete a host at once one does, and the other is told that there is none", async () => {
    await api.addHost("alpha");
    const results = await Promise.allSettled([
      api.hosts.deleteHost({ host: "alpha" }),
      api.hosts.deleteHost({ host: "id-alpha" }),
    ]);
    assert.deepEqual(results.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
    assert.deepEqual(api.dispatcher.removedAgents, ["agent-alpha"]);
    assert.equal((await api.events.list({ types: [EventType.HOST_DELETED] }, 0, 10)).length, 1);
  });

  it("V03 facts and names of hosts are told as they are", async () => {
    const odd = "<img src=x onerror=alert(1)>\u001b[2J\u0007";
    await api.addHost(odd, { hostname: odd, operatingSystem: odd });
    const { hosts } = await api.hosts.listHosts({});
    assert.deepEqual(
      hosts.map(({ name, facts }) => [name, facts?.hostname, facts?.operatingSystem]),
      [[odd, odd, odd]],
    );
  });
});
