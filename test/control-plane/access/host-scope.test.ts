import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { ApiKeyService } from "../../../src/gen/fairlead/access/v1/api_key_service_pb.js";
import { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { OfflinePolicy } from "../../../src/gen/fairlead/command/v1/offline_policy_pb.js";
import { ContainerService } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { EventService } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { InventoryUpdateSchema } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { HostScope } from "../../../src/control-plane/access/host-scope.ts";
import { eventually } from "../../support/control-plane-harness.ts";
import type { RawAgent } from "../../support/raw-agent.ts";
import { failureOf } from "../services/services-harness.ts";
import { type GuardedControlPlane, guardedControlPlane } from "./guarded-control-plane.ts";

const idOf = (digit: string) => digit.repeat(64);

/** Two hosts, "berlin" and "paris", each with a container "web" and one of its own, and a key for Berlin alone. */
async function twoSites(role: Role) {
  const api = await guardedControlPlane();
  const berlin = await enrol(api, "berlin", ["1", "web"], ["2", "only-berlin"]);
  const paris = await enrol(api, "paris", ["3", "web"], ["4", "only-paris"]);
  const key = await api.newKey("part", role, { hostSelector: ["site=berlin"] });
  return {
    api,
    berlin,
    paris,
    key,
    hosts: api.client(HostService, key),
    containers: api.client(ContainerService, key),
    commands: api.client(CommandService, key),
    events: api.client(EventService, key),
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
    },
  };
}

async function enrol(
  api: GuardedControlPlane,
  site: string,
  ...containers: readonly (readonly [digit: string, name: string])[]
) {
  const agent = await api.plane.enrolled({ displayName: site });
  const { inventory } = api.plane.controlPlane;
  const { hostId } = inventory.requireHost(site);
  await api.client(HostService).updateHost({ host: hostId, labels: { labels: { site, env: "test" } } });
  for (const [digit, name] of containers) {
    const value = { id: idOf(digit), name };
    inventory.apply(hostId, create(InventoryUpdateSchema, { update: { case: "container", value } }));
  }
  return { agent, hostId };
}

/** Has an agent carry out what it is told until the call has ended. */
async function carriedOut<Answer>(agent: RawAgent, call: Promise<Answer>): Promise<Answer> {
  agent.succeed(await agent.command(), true);
  return call;
}

describe("keys that are limited to hosts with a label", function () {
  this.timeout(30_000);

  it("V06 labels are compared as a whole, all of a selector, and what a host merely inherits counts for nothing", () => {
    const labels = { site: "berlin", env: "prod", empty: "" };
    for (const [selector, sees] of [
      [[], true],
      [["site"], true],
      [["site=berlin", "env=prod"], true],
      [["site=berlin", "env=test"], false],
      [["site=berli"], false],
      [["sit"], false],
      [["empty="], true],
      [["empty=x"], false],
      [["toString"], false],
      [["__proto__"], false],
    ] as const) {
      assert.equal(new HostScope(selector).sees(labels), sees, selector.join());
    }
    assert.ok(new HostScope(["a=b=c"]).sees({ a: "b=c" }));
  });

  it("V06 other hosts are in no list, are not found, and are not even suggested", async () => {
    await using sites = await twoSites(Role.ADMIN);
    const { hosts, paris, api } = sites;
    assert.deepEqual(
      (await hosts.listHosts({})).hosts.map(({ name }) => name),
      ["berlin"],
    );
    assert.deepEqual((await hosts.listHosts({ pageSize: 1 })).nextPageToken, "");
    assert.equal((await hosts.getHost({ host: "berlin" })).host?.name, "berlin");
    for (const host of ["paris", paris.hostId, "pariss"]) {
      for (const call of [
        hosts.getHost({ host }),
        hosts.updateHost({ host, displayName: "mine" }),
        hosts.deleteHost({ host }),
        sites.containers.listContainers({ hosts: [host] }),
        sites.containers.getContainer({ host, container: "web" }),
        sites.containers.stopContainer({ host, container: "web" }),
        sites.containers.createContainer({ host, name: "new", spec: { image: "nginx" } }),
        sites.commands.listCommands({ host }),
        sites.events.listEvents({ filter: { hosts: [host] } }),
      ]) {
        const { reason, metadata, message } = await failureOf(call);
        assert.equal(reason, "HOST_NOT_FOUND");
        assert.deepEqual(metadata, { host });
        assert.doesNotMatch(message.replace(`"${host}"`, ""), /paris/);
      }
    }
    assert.equal((await api.client(HostService).listHosts({})).hosts.length, 2);
  });

  it("V06 containers of other hosts are not there: what is ambiguous to others is not, and what is elsewhere is not found", async () => {
    await using sites = await twoSites(Role.OPERATOR);
    const { containers, berlin, api } = sites;
    const names = (await containers.listContainers({})).containers.map(
      ({ name, host }) => `${host?.name}/${name}`,
    );
    assert.deepEqual(names, ["berlin/only-berlin", "berlin/web"]);
    const everything = await failureOf(api.client(ContainerService).getContainer({ container: "web" }));
    assert.equal(everything.reason, "CONTAINER_AMBIGUOUS");
    assert.equal((await containers.getContainer({ container: "web" })).container?.id, idOf("1"));
    for (const container of ["only-paris", idOf("3"), "3333", "333333333333"]) {
      assert.equal((await failureOf(containers.getContainer({ container }))).reason, "CONTAINER_NOT_FOUND");
      assert.equal((await failureOf(containers.stopContainer({ container }))).reason, "CONTAINER_NOT_FOUND");
    }
    const created = await carriedOut(
      berlin.agent,
      containers.createContainer({ name: "new", spec: { image: "nginx" } }),
    );
    assert.notEqual(created.commandId, "");
  });

  it("V06 commands of other hosts are not there, neither in lists nor by id, nor by a request id that was used for them", async () => {
    await using sites = await twoSites(Role.OPERATOR);
    const { commands, containers, berlin, paris, api } = sites;
    const all = api.client(ContainerService);
    const mine = await carriedOut(berlin.agent, all.stopContainer({ container: "only-berlin" }));
    const other = await carriedOut(paris.agent, all.stopContainer({ container: "only-paris" }));
    assert.deepEqual(
      (await commands.listCommands({})).commands.map(({ id }) => id),
      [mine.commandId],
    );
    await commands.getCommand({ id: mine.commandId });
    const never = await failureOf(commands.getCommand({ id: "none" }));
    for (const call of [
      commands.getCommand({ id: other.commandId }),
      commands.waitCommand({ id: other.commandId }),
      commands.cancelCommand({ id: other.commandId }),
      commands.watchCommand({ id: other.commandId })[Symbol.asyncIterator]().next(),
    ]) {
      const { reason, message } = await failureOf(call);
      assert.deepEqual(
        [reason, message.replace(other.commandId, "none")],
        ["COMMAND_NOT_FOUND", never.message],
      );
    }
    const stop = { container: "web", requestId: "once" };
    await carriedOut(berlin.agent, containers.stopContainer(stop));
    await api.client(HostService).updateHost({ host: "berlin", labels: { labels: {} } });
    assert.equal((await failureOf(containers.stopContainer(stop))).reason, "REQUEST_ID_REUSED");
    assert.deepEqual((await commands.listCommands({})).commands, []);
  });

  it("V06 events of other hosts, of tokens and of keys are not there, in lists and while they are followed", async () => {
    await using sites = await twoSites(Role.VIEWER);
    const { events, hosts, api, berlin, paris } = sites;
    const seen = await events.listEvents({ pageSize: 1_000 });
    assert.ok(seen.events.length > 0);
    assert.ok(seen.events.every(({ hostId }) => hostId === berlin.hostId));
    assert.ok(seen.events.every(({ type }) => type !== EventType.TOKEN_USED));
    const tokens = await events.listEvents({
      filter: { types: [EventType.TOKEN_CREATED, EventType.TOKEN_USED] },
    });
    assert.deepEqual(tokens.events, []);
    const hangUp = new AbortController();
    const stream = events.watchEvents({}, { signal: hangUp.signal })[Symbol.asyncIterator]();
    await stream.next();
    const label = (host: string, site: string) =>
      api.client(HostService).updateHost({ host, labels: { labels: { site } } });
    // What Paris does is not told, until it is in Berlin too; then Berlin moves away, and then is gone.
    await label("paris", "paris");
    await api.client(RegistrationTokenService).createRegistrationToken({});
    await label("paris", "berlin");
    await label("berlin", "rome");
    await label("berlin", "rome");
    await label("paris", "berlin");
    const told: (string | undefined)[] = [];
    while (told.length < 2) {
      const { value } = await stream.next();
      if (value?.event !== undefined) told.push(value.event.hostId);
    }
    assert.deepEqual(told, [paris.hostId, paris.hostId]);
    await api.client(HostService).deleteHost({ host: "paris" });
    for (;;) {
      const { value } = await stream.next();
      if (value?.event?.type === EventType.HOST_DELETED) break;
      assert.equal(value?.event?.hostId ?? paris.hostId, paris.hostId);
    }
    assert.deepEqual((await hosts.listHosts({})).hosts, []);
    hangUp.abort();
  });

  it("V06 a label changes at once what a key sees, and a host that it may rename stays its own", async () => {
    await using sites = await twoSites(Role.ADMIN);
    const { hosts, containers, api } = sites;
    await api.client(HostService).updateHost({ host: "paris", labels: { labels: { site: "berlin" } } });
    assert.equal((await hosts.listHosts({})).hosts.length, 2);
    assert.equal((await containers.listContainers({})).containers.length, 4);
    const { host } = await hosts.updateHost({ host: "paris", displayName: "second" });
    assert.deepEqual([host?.name, host?.labels], ["second", { site: "berlin" }]);
    assert.equal(
      (await failureOf(hosts.updateHost({ host: "second", displayName: "berlin" }))).reason,
      "HOST_NAME_IN_USE",
    );
    await api.plane.restart();
    const again = api.client(HostService, sites.key);
    assert.deepEqual(
      (await again.listHosts({})).hosts.map(({ name }) => name),
      ["berlin", "second"],
    );
    assert.equal(
      (await api.client(ContainerService, sites.key).listContainers({ hosts: ["second"] })).containers.length,
      0,
    );
  });

  it("V06 a host that others named like its id does not hide a host of one's own", async () => {
    await using sites = await twoSites(Role.VIEWER);
    const { api, paris, hosts } = sites;
    await api.client(HostService).updateHost({ host: "berlin", displayName: paris.hostId });
    assert.equal((await hosts.getHost({ host: paris.hostId })).host?.name, paris.hostId);
    assert.equal((await api.client(HostService).getHost({ host: paris.hostId })).host?.name, "paris");
  });

  it("V06 whatever its role, such a key manages neither keys nor tokens nor bans, because it could free itself", async () => {
    await using sites = await twoSites(Role.ADMIN);
    const keys = sites.api.client(ApiKeyService, sites.key);
    const tokens = sites.api.client(RegistrationTokenService, sites.key);
    for (const call of [
      keys.createApiKey({ name: "free", role: Role.ADMIN }),
      keys.listApiKeys({}),
      keys.revokeApiKey({ key: "admin" }),
      tokens.createRegistrationToken({}),
      tokens.listRegistrationTokens({}),
      tokens.revokeRegistrationToken({ id: "x" }),
      sites.hosts.deleteHost({ host: "berlin", ban: true }),
    ]) {
      assert.equal((await failureOf(call)).reason, "PERMISSION_DENIED");
    }
    assert.equal((await sites.hosts.getHost({ host: "berlin" })).host?.name, "berlin");
  });

  it("pages of hosts are whole for such a key, however many others lie between", async () => {
    await using api = await guardedControlPlane();
    for (let index = 0; index < 12; index += 1) {
      const name = `host-${String(index).padStart(2, "0")}`;
      (await api.plane.enrolled({ displayName: name })).close();
      if (index % 4 === 3) {
        await api.client(HostService).updateHost({ host: name, labels: { labels: { mine: "" } } });
      }
    }
    const hosts = api.client(HostService, await api.newKey("mine", Role.VIEWER, { hostSelector: ["mine"] }));
    const first = await hosts.listHosts({ pageSize: 2 });
    const second = await hosts.listHosts({ pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(
      [first, second].map((page) => page.hosts.map(({ name }) => name)),
      [["host-03", "host-07"], ["host-11"]],
    );
    assert.equal(second.nextPageToken, "");
  });

  it("an ended command names the key and the address that it was asked for with, also after a restart", async () => {
    await using api = await guardedControlPlane();
    const { agent, hostId } = await enrol(api, "berlin", ["1", "web"]);
    const key = await api.newKey("deploy", Role.OPERATOR);
    agent.close();
    const { commandId } = await api
      .client(ContainerService, key)
      .stopContainer({ container: "web", offlinePolicy: OfflinePolicy.QUEUE });
    await api.plane.restart();
    const back = await api.plane.returned(agent);
    back.succeed(await back.command(), true);
    const ended = await eventually(async () => {
      const types = [EventType.COMMAND_ENDED];
      return (await api.plane.controlPlane.events.list({ commandId, types }, 0, 10))[0];
    }, "the command ended");
    assert.deepEqual(
      [ended.actor, ended.attributes["address"], ended.attributes["key_id"], ended.hostId],
      ["deploy", "127.0.0.1", key.slice(4, 40), hostId],
    );
  });
});
