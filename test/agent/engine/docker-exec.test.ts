import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { DockerEngine } from "../../../src/agent/engine/docker-engine.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { refused, settled } from "../../support/engine-kit.ts";
import { execSpec } from "../../support/engine-process-kit.ts";
import { type FakeDocker, startFakeDocker } from "../../support/fake-docker.ts";
import { silentLogger } from "../../support/silent-logger.ts";

describe("agent/engine: processes whose engine goes wrong", () => {
  const opened: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((it) => it.close()));
  });

  async function against(
    start: (response: ServerResponse) => void,
  ): Promise<{ engine: DockerEngine; fake: FakeDocker }> {
    const fake = await startFakeDocker((request, response) => {
      const url = request.url ?? "";
      if (url.includes("/start")) {
        start(response);
      } else if (url.startsWith("/containers/one/json")) {
        response.end(JSON.stringify({ Id: "one", Config: { Tty: false } }));
      } else if (url.endsWith("/exec?")) {
        response.writeHead(201).end(JSON.stringify({ Id: "exec" }));
      } else {
        response.end(JSON.stringify({ Running: false, ExitCode: 0, Pid: 0 }));
      }
    });
    const endpoint = { kind: "socket", address: `unix://${fake.path}`, path: fake.path } as const;
    const engine = new DockerEngine({ endpoint, clock: systemClock, logger: silentLogger });
    opened.push(engine, fake);
    return { engine, fake };
  }

  it("O13 an abort in the middle of a start rejects at once with the reason, and looks after what may run", async () => {
    const { engine, fake } = await against(() => {});
    const abort = new AbortController();
    const reason = new Error("enough");
    const starting = engine.exec("one", execSpec(["true"]), abort.signal);
    await settled(async () => fake.requests.some((request) => request.includes("/start")));
    abort.abort(reason);
    await assert.rejects(starting, reason);
    await settled(async () => fake.requests.at(-1) === "GET /exec/exec/json?");
  });

  it("O13 an engine that breaks off the start is of unknown outcome, one that refuses it says why", async () => {
    const broken = await against((response) => response.socket?.destroy());
    await refused(broken.engine.exec("one", execSpec(["true"]), neverAborted), "OUTCOME_UNKNOWN", "broke");
    const refusing = await against((response) => {
      response.writeHead(409).end(JSON.stringify({ message: "Container one is not running" }));
    });
    await refused(refusing.engine.exec("one", execSpec(["true"]), neverAborted), "CONFLICT", "not running");
    const odd = await against((response) => response.end("hello"));
    await refused(odd.engine.exec("one", execSpec(["true"]), neverAborted), "ENGINE_FAILED", "connection");
  });
});
