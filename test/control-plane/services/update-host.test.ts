import assert from "node:assert/strict";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { failureOf, type ServicesUnderTest, startServices } from "./services-harness.ts";

describe("names and labels of hosts", () => {
  let api: ServicesUnderTest;

  beforeEach(async () => {
    api = await startServices();
    await api.addHost("alpha");
    await api.addHost("bravo");
  });
  afterEach(() => api.close());

  const labelsOf = async (host: string) => (await api.hosts.getHost({ host })).host?.labels;

  it("O18 labels are replaced as a whole, kept when they are not mentioned, and taken away by an empty map", async () => {
    const labels = { site: "berlin", "example.com/rack": "", env: "a b=c" };
    const { host } = await api.hosts.updateHost({ host: "alpha", labels: { labels } });
    assert.deepEqual(host?.labels, labels);
    await api.hosts.updateHost({ host: "alpha", displayName: "renamed" });
    assert.deepEqual(await labelsOf("renamed"), labels);
    await api.hosts.updateHost({ host: "renamed", labels: { labels: { site: "rome" } } });
    assert.deepEqual(await labelsOf("renamed"), { site: "rome" });
    await api.hosts.updateHost({ host: "renamed", labels: {} });
    assert.deepEqual(await labelsOf("renamed"), {});
    assert.deepEqual(await labelsOf("bravo"), {});
  });

  it("O18 a renamed host is found by its new name alone, everywhere", async () => {
    await api.hosts.updateHost({ host: "alpha", displayName: "zulu" });
    assert.equal((await failureOf(api.hosts.getHost({ host: "alpha" }))).reason, "HOST_NOT_FOUND");
    assert.equal((await api.hosts.getHost({ host: "zulu" })).host?.id, "id-alpha");
    assert.equal(api.inventory.host("zulu")?.hostId, "id-alpha");
    assert.deepEqual(
      (await api.hosts.listHosts({})).hosts.map(({ name }) => name),
      ["bravo", "zulu"],
    );
    // The old name is free again.
    await api.hosts.updateHost({ host: "bravo", displayName: "alpha" });
    assert.equal((await api.hosts.getHost({ host: "alpha" })).host?.id, "id-bravo");
  });

  it("O18 a name in use is refused, one's own is not, and of two who want one name one gets it", async () => {
    const error = await failureOf(api.hosts.updateHost({ host: "alpha", displayName: "bravo" }));
    assert.equal(error.reason, "HOST_NAME_IN_USE");
    await api.hosts.updateHost({ host: "alpha", displayName: "alpha" });
    const wanted = ["alpha", "bravo"].map((host) => api.hosts.updateHost({ host, displayName: "both" }));
    const ends = await Promise.allSettled(wanted);
    assert.deepEqual(ends.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
  });

  it("an event says what a host is called and labelled now, what it was called, and who did it", async () => {
    await api.hosts.updateHost({ host: "alpha", displayName: "zulu", labels: { labels: { site: "rome" } } });
    const [event] = await api.events.list({ types: [EventType.HOST_UPDATED] }, 0, 10);
    assert.deepEqual([event?.hostId, event?.hostName, event?.actor], ["id-alpha", "zulu", "tester"]);
    assert.deepEqual(event?.attributes, {
      name: "zulu",
      labels: '{"site":"rome"}',
      previous_name: "alpha",
      address: "127.0.0.1",
    });
  });

  it("V02 what a host may not be called is refused by field, and changes nothing", async () => {
    for (const [request, field] of [
      [{ displayName: "" }, "display_name"],
      [{ displayName: "a b" }, "display_name"],
      [{ displayName: "x".repeat(64) }, "display_name"],
      [{ labels: { labels: { "": "x" } } }, 'labels.labels[""]'],
      [{ labels: { labels: { "a b": "x" } } }, 'labels.labels["a b"]'],
      [{ labels: { labels: { a: "\u0007" } } }, 'labels.labels["a"]'],
    ] as const) {
      const { reason, violations } = await failureOf(api.hosts.updateHost({ host: "alpha", ...request }));
      assert.deepEqual([reason, violations[0]?.field], ["INVALID_ARGUMENT", field]);
    }
    assert.deepEqual(await api.events.list({ types: [EventType.HOST_UPDATED] }, 0, 10), []);
  });

  it("O18 an unknown host is not found", async () => {
    const error = await failureOf(api.hosts.updateHost({ host: "none", displayName: "other" }));
    assert.equal(error.reason, "HOST_NOT_FOUND");
  });
});
