import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import type { ListContainersRequest } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { gone, idOf, seen } from "../inventory/inventory-steps.ts";
import { failureOf, type ServicesUnderTest, startServices } from "./services-harness.ts";

describe("the container service", () => {
  let api: ServicesUnderTest;

  beforeEach(async () => {
    api = await startServices();
    for (const name of ["beta", "alpha"]) {
      await api.addHost(name);
      for (let index = 1; index <= 5; index += 1) {
        const state = index % 2 === 0 ? ContainerState.EXITED : ContainerState.RUNNING;
        api.inventory.apply(`id-${name}`, seen({ id: idOf(`${index}`), name: `c${index}`, state }));
      }
    }
  });

  afterEach(() => api.close());

  const listAll = async (
    request: Partial<Pick<ListContainersRequest, "hosts" | "states" | "nameContains" | "pageSize">>,
    between: () => void = () => {},
  ) => {
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await api.containers.listContainers({ ...request, pageToken });
      pages.push(page.containers.map(({ host, name }) => `${host?.name}/${name}`));
      pageToken = page.nextPageToken;
      between();
    } while (pageToken !== "");
    return pages;
  };

  it("O01 pages of the fleet come in order, and the last one has no token", async () => {
    assert.deepEqual(await listAll({ pageSize: 4 }), [
      ["alpha/c1", "alpha/c2", "alpha/c3", "alpha/c4"],
      ["alpha/c5", "beta/c1", "beta/c2", "beta/c3"],
      ["beta/c4", "beta/c5"],
    ]);
    assert.deepEqual(
      (await listAll({ pageSize: 5 })).map(({ length }) => length),
      [5, 5],
    );
    assert.deepEqual(
      (await listAll({})).map(({ length }) => length),
      [10],
    );
  });

  it("O01 pages go on with their filters while containers come and go", async () => {
    const pages = await listAll({ pageSize: 2, states: [ContainerState.RUNNING] }, () => {
      api.inventory.apply("id-alpha", gone(idOf("3")));
      api.inventory.apply("id-alpha", seen({ id: idOf("9"), name: "c0" }));
    });
    assert.deepEqual(pages, [
      ["alpha/c1", "alpha/c3"],
      ["alpha/c5", "beta/c1"],
      ["beta/c3", "beta/c5"],
    ]);
  });

  it("O01 a page token of other filters, of another list, or of nobody is refused", async () => {
    const { nextPageToken } = await api.containers.listContainers({ pageSize: 2 });
    const hosts = await api.hosts.listHosts({ pageSize: 1 });
    const wrong = [
      { pageToken: nextPageToken, nameContains: "c" },
      { pageToken: hosts.nextPageToken },
      { pageToken: "no token" },
      { pageToken: Buffer.from("[1,null]").toString("base64url") },
      { pageToken: Buffer.from('["",{"hostName":1}]').toString("base64url") },
    ];
    for (const request of wrong) {
      assert.equal((await failureOf(api.containers.listContainers(request))).reason, "INVALID_PAGE_TOKEN");
    }
    const next = await api.containers.listContainers({ pageToken: nextPageToken, pageSize: 1 });
    assert.equal(next.containers[0]?.name, "c3");
  });

  it("O01 a filter by host takes ids and names, and an unknown one is refused", async () => {
    assert.deepEqual(await listAll({ hosts: ["id-beta"], nameContains: "1" }), [["beta/c1"]]);
    const error = await failureOf(api.containers.listContainers({ hosts: ["beta", "gamma"] }));
    assert.equal(error.reason, "HOST_NOT_FOUND");
  });

  it("O07 gets one container by name and host, by id, or by prefix", async () => {
    const byName = await api.containers.getContainer({ container: "c2", host: "beta" });
    assert.equal(byName.container?.host?.id, "id-beta");
    api.inventory.apply("id-beta", seen({ id: idOf("face"), name: "only" }));
    for (const container of ["only", idOf("face"), "fac"]) {
      assert.equal((await api.containers.getContainer({ container })).container?.name, "only");
    }
    const missing = await failureOf(api.containers.getContainer({ container: "c9", host: "alpha" }));
    assert.equal(missing.reason, "CONTAINER_NOT_FOUND");
    const ambiguous = await failureOf(api.containers.getContainer({ container: "c1" }));
    assert.equal(ambiguous.metadata["candidates"], "alpha/c1 (100000000000), beta/c1 (100000000000)");
  });

  it("O22 a list says as of when it is, and each container as of when it was seen and whether its host is online", async () => {
    const observedTime = timestampFromMs(1_600_000_000_000);
    api.inventory.apply("id-alpha", seen({ id: idOf("1"), name: "c1", observedTime }));
    api.inventory.setOnline("id-beta", true);
    const { asOfTime, containers } = await api.containers.listContainers({ nameContains: "c1" });
    assert.deepEqual(asOfTime, timestampFromMs(api.clock.now()));
    assert.deepEqual(
      containers.map(({ host }) => [host?.name, host?.online]),
      [
        ["alpha", false],
        ["beta", true],
      ],
    );
    assert.deepEqual(containers[0]?.observedTime, observedTime);
  });

  it("V03 the oddest and longest names do not stop a list between its pages", async () => {
    const odd = "\u0001".repeat(255);
    await api.addHost(odd);
    for (const id of ["1", "2"]) {
      api.inventory.apply(`id-${odd}`, seen({ id: idOf(id), name: odd }));
    }
    const pages = await listAll({ hosts: [odd, "alpha"], pageSize: 1 });
    assert.equal(pages.length, 7);
    const first = await api.hosts.listHosts({ pageSize: 1 });
    const second = await api.hosts.listHosts({ pageSize: 1, pageToken: first.nextPageToken });
    assert.deepEqual(
      [...first.hosts, ...second.hosts].map(({ name }) => name),
      [odd, "alpha"],
    );
  });

  it("V03 names, labels and commands of agents are told as they are, markup and control characters and all", async () => {
    const odd = "<script>alert(1)</script>\u001b[31m\u0007\r\n\u202e'\"; DROP TABLE host; --";
    const labels = { [odd]: odd, __proto: "x" };
    api.inventory.apply("id-alpha", seen({ id: idOf("dd"), name: odd, command: odd, labels }));
    const { containers } = await api.containers.listContainers({ labels: [`${odd}=${odd}`] });
    assert.deepEqual(
      containers.map(({ name, command }) => [name, command]),
      [[odd, odd]],
    );
    assert.deepEqual({ ...containers[0]?.labels }, labels);
    // By hand as well, and as data: nothing is taken for markup or for the end of a text.
    const response = await fetch(`${api.baseUrl}/fairlead.container.v1.ContainerService/GetContainer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ container: odd }),
    });
    const body = (await response.json()) as { container: { name: string } };
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.equal(body.container.name, odd);
  });
});
