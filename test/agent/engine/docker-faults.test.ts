import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { create } from "@bufbuild/protobuf";
import { DockerEngine } from "../../../src/agent/engine/docker-engine.ts";
import { ContainerSpecSchema } from "../../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { refused } from "../../support/engine-kit.ts";
import { type FakeDocker, startFakeDocker } from "../../support/fake-docker.ts";
import { silentLogger } from "../../support/silent-logger.ts";

describe("agent/engine: calls that go wrong", () => {
  const opened: { close(): Promise<void> }[] = [];
  const never = neverAborted;

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((it) => it.close()));
  });

  function engineAt(path: string): DockerEngine {
    const endpoint = { kind: "socket", address: `unix://${path}`, path } as const;
    const engine = new DockerEngine({ endpoint, clock: systemClock, logger: silentLogger });
    opened.push(engine);
    return engine;
  }

  async function against(
    answer: Parameters<typeof startFakeDocker>[0],
  ): Promise<{ engine: DockerEngine; fake: FakeDocker }> {
    const fake = await startFakeDocker(answer);
    opened.push(fake);
    return { engine: engineAt(fake.path), fake };
  }

  const changes = (engine: DockerEngine): (() => Promise<unknown>)[] => [
    () => engine.startContainer("one", never),
    () => engine.stopContainer("one", 1000, never),
    () => engine.restartContainer("one", 1000, never),
    () => engine.killContainer("one", "", never),
    () => engine.pauseContainer("one", never),
    () => engine.unpauseContainer("one", never),
    () => engine.renameContainer("one", "two", never),
    () => engine.removeContainer("one", { force: true, removeVolumes: false }, never),
    () => engine.createContainer("one", create(ContainerSpecSchema, { image: "busybox" }), never),
  ];
  const reads = (engine: DockerEngine): (() => Promise<unknown>)[] => [
    () => engine.facts(never),
    () => engine.listContainers(never),
    () => engine.getContainer("one", never),
    () => engine.inspectContainer("one", never),
  ];

  it("C42 a call that the engine certainly did not get is ENGINE_UNAVAILABLE, with advice", async () => {
    const engine = engineAt("/nonexistent/docker.sock");
    for (const call of [...changes(engine), ...reads(engine)]) {
      await refused(call(), "ENGINE_UNAVAILABLE", "is Docker installed and running?");
    }
    const closed = await startFakeDocker(() => {});
    await closed.close();
    await refused(engineAt(closed.path).startContainer("one", never), "ENGINE_UNAVAILABLE", closed.path);
    const refusing = new DockerEngine({
      endpoint: {
        kind: "tcp",
        address: "tcp://localhost:1",
        hostname: "localhost",
        port: 1,
        pathPrefix: "",
        tls: undefined,
      },
      clock: systemClock,
      logger: silentLogger,
    });
    opened.push(refusing);
    await refused(refusing.startContainer("one", never), "ENGINE_UNAVAILABLE", "is the engine running?");
  });

  it("C42 a change that breaks after it was sent is OUTCOME_UNKNOWN, a read ENGINE_UNAVAILABLE", async () => {
    const { engine } = await against((request) => request.socket.destroy());
    for (const call of changes(engine)) {
      await refused(call(), "OUTCOME_UNKNOWN", "broke before it answered");
    }
    for (const call of reads(engine)) {
      await refused(call(), "ENGINE_UNAVAILABLE", "broke");
    }
  });

  it("C42 an answer that breaks off in the middle settles the call in the same way", async () => {
    const { engine } = await against((request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write('{"Id":');
      setTimeout(() => request.socket.destroy(), 20);
    });
    for (const call of changes(engine)) {
      await refused(call(), "OUTCOME_UNKNOWN", "broke before it answered");
    }
    for (const call of reads(engine)) {
      await refused(call(), "ENGINE_UNAVAILABLE", "broke");
    }
  });

  it("O06 what else an engine or a proxy says is ENGINE_FAILED, in its words", async () => {
    const { engine } = await against((_, response) => {
      response.writeHead(502).end("<h1>bad gateway</h1>");
    });
    await refused(engine.startContainer("one", never), "ENGINE_FAILED", "bad gateway");
    const other = await against((_, response) => response.end("hello"));
    await refused(other.engine.facts(never), "ENGINE_FAILED", "no Docker Engine");
    await refused(other.engine.getContainer("one", never), "ENGINE_FAILED", "");
  });

  it("O07 a name is never taken for a path or a query", async () => {
    const { engine, fake } = await against((_, response) =>
      json(response, 404, { message: "No such container: x" }),
    );
    await refused(engine.getContainer("../info?x=1", never), "CONTAINER_NOT_FOUND", "");
    assert.deepEqual(fake.requests, ["GET /containers/..%2Finfo%3Fx%3D1/json?"]);
  });

  it("O04 a grace is passed on in whole seconds, rounded up", async () => {
    const { engine, fake } = await against((_, response) => response.writeHead(204).end());
    await engine.stopContainer("one", 1001, never);
    await engine.stopContainer("one", undefined, never);
    await engine.restartContainer("one", 0, never);
    assert.deepEqual(fake.requests, [
      "POST /containers/one/stop?t=2",
      "POST /containers/one/stop?",
      "POST /containers/one/restart?t=0",
    ]);
  });

  it("O08 a container whose second network cannot be attached is removed again", async () => {
    const id = "f".repeat(64);
    const { engine, fake } = await against((request, response) => {
      if (request.url?.startsWith("/containers/create")) {
        json(response, 201, { Id: id });
      } else if (request.url?.includes("/connect")) {
        json(response, 403, { message: "this network wants no more" });
      } else {
        json(response, 200, {});
      }
    });
    const spec = create(ContainerSpecSchema, { image: "busybox", networks: ["one", "two"] });
    await refused(engine.createContainer("a", spec, never), "ENGINE_FAILED", "wants no more");
    assert.equal(fake.requests.at(-1), `DELETE /containers/${id}?force=true&v=true`);
  });

  it("O04 a removal that somebody else began is waited for, and changes nothing", async () => {
    const { engine, fake } = await against((request, response) => {
      if (request.method === "DELETE") {
        json(response, 409, { message: "removal of container one is already in progress" });
      } else {
        json(response, 200, { StatusCode: 0 });
      }
    });
    const outcome = await engine.removeContainer("one", { force: false, removeVolumes: false }, never);
    assert.deepEqual(outcome, { changed: false });
    assert.equal(fake.requests.at(-1), "POST /containers/one/wait?condition=removed");
  });

  it("O20 an abort ends a call that nobody answers, with the reason of the signal", async () => {
    const { engine } = await against((request, response) => {
      if (request.method === "GET") {
        response.writeHead(200).write("{");
      }
    });
    const reason = new Error("enough");
    for (const call of [
      (signal: AbortSignal) => engine.startContainer("one", signal),
      (signal: AbortSignal) => engine.getContainer("one", signal),
    ]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 50);
      await assert.rejects(call(controller.signal), reason);
    }
  });

  it("O21 an event stream that ends or breaks is ENGINE_UNAVAILABLE, after all that was told", async () => {
    const line = JSON.stringify({ Type: "container", Action: "start", Actor: { ID: "a", Attributes: {} } });
    for (const end of [
      (response: ServerResponse) => response.end(),
      (response: ServerResponse) => response.destroy(),
    ]) {
      const { engine } = await against((request, response) => {
        if (request.url?.startsWith("/events")) {
          response.write(`${line}\nnot json\n${line}\n{"half`);
          setTimeout(() => end(response), 50);
        } else {
          json(response, 200, { SystemTime: "2026-01-02T03:04:05.000000006Z" });
        }
      });
      const kinds: string[] = [];
      const reading = (async () => {
        for await (const notice of engine.watch(never)) {
          kinds.push(notice.kind);
        }
      })();
      await refused(reading, "ENGINE_UNAVAILABLE", "");
      assert.deepEqual(kinds, ["listening", "event", "event"]);
    }
  });

  it("L05 L06 a watch asks for what happened since a moment before it, by the engine's clock, or since it is told", async () => {
    const { engine, fake } = await against((request, response) => {
      if (request.url?.startsWith("/events")) {
        response.end();
      } else {
        json(response, 200, { SystemTime: "2026-01-02T03:04:05.000000006Z" });
      }
    });
    const notices = engine.watch(never)[Symbol.asyncIterator]();
    const timeNs = 1_767_323_045_000_000_006n;
    assert.deepEqual(await notices.next(), { done: false, value: { kind: "listening", timeNs } });
    await notices.return?.();
    const asked = () => new URLSearchParams(fake.requests.at(-1)?.split("?")[1]);
    assert.equal(asked().get("since"), "1767323045.000000006");
    assert.equal(asked().get("filters"), '{"type":["container"]}');
    for (const [sinceNs, since] of [
      [1_767_323_000_000_000_070n, "1767323000.000000070"],
      // As after a clock was set back: an engine that is asked for the future tells nothing until then.
      [1_767_329_999_000_000_000n, "1767323045.000000006"],
    ] as const) {
      const earlier = engine.watch(never, sinceNs)[Symbol.asyncIterator]();
      await earlier.next();
      await earlier.return?.();
      assert.equal(asked().get("since"), since);
    }
  });
});

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
