import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { examineAgent, startAgent } from "../../../src/agent/agent.ts";
import type { Diagnosis } from "../../../src/agent/doctor/diagnosis.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { registrationTokenText } from "../../../src/domain/registration-token.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { testControlPlane } from "../../support/control-plane-harness.ts";
import { silentLogger } from "../../support/silent-logger.ts";

const verdicts = (found: readonly Diagnosis[]) =>
  Object.fromEntries(found.map(({ stage, verdict }) => [stage, verdict]));

describe("the doctor", () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "fairlead-doctor-"));
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  const optionsFor = (server: string, more: { token?: string; engine?: SimulatedEngine } = {}) => ({
    server,
    dataDir,
    engine: new SimulatedEngine({ clock: systemClock }),
    logger: silentLogger,
    ...more,
  });

  async function examined(
    server: string,
    more: { token?: string; engine?: SimulatedEngine } = {},
  ): Promise<Diagnosis[]> {
    return Array.fromAsync(examineAgent(optionsFor(server, more), neverAborted));
  }

  it("doctor: finds nothing wrong where nothing is, and uses no token up", async () => {
    await using plane = await testControlPlane();
    const server = `localhost:${plane.controlPlane.agentsAddress.port}`;
    const token = await plane.controlPlane.createToken("doctor");
    const found = await examined(server, { token });
    assert.deepEqual(new Set(Object.values(verdicts(found))), new Set(["good"]));
    const agent = await startAgent(optionsFor(server, { token }));
    await agent.ready;
    assert.deepEqual(verdicts(await examined(server)).identity, "good");
    assert.equal(plane.controlPlane.sessions.size, 1, "the running agent keeps its session");
    await agent.close();
  });

  it("doctor: names the stage that fails, skips what rests on it, and looks at the engine all the same", async () => {
    const found = await examined("127.0.0.1:1", { token: "fl1.none.x" });
    assert.deepEqual(verdicts(found), {
      name: "good",
      tcp: "bad",
      authority: "skipped",
      certificate: "skipped",
      grpc: "skipped",
      clock: "skipped",
      identity: "skipped",
      engine: "good",
    });
    assert.match(found.find(({ stage }) => stage === "tcp")?.advice ?? "", /--agents-listen/);
  });

  it("doctor: tells a server with another authority from one that does not speak the protocol", async () => {
    await using plane = await testControlPlane();
    const token = registrationTokenText({ caDigest: "A".repeat(43), secret: "B".repeat(43) });
    const stranger = await examined(`localhost:${plane.controlPlane.agentsAddress.port}`, { token });
    assert.equal(verdicts(stranger).authority, "bad");
    const web: Server = createServer((_request, response) => response.end("hello"));
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    const other = await examined(`127.0.0.1:${(web.address() as AddressInfo).port}`, {
      token: registrationTokenText({ caDigest: "none", secret: "B".repeat(43) }),
    });
    assert.deepEqual([verdicts(other).authority, verdicts(other).grpc], ["skipped", "bad"]);
    web.close();
  });

  it("doctor: says that a host is not enrolled and has no token, and that the engine does not answer", async () => {
    // Without TLS: an agent with neither a token nor an authority has nothing to trust another by, and could not look any further.
    await using plane = await testControlPlane({ tls: { kind: "off" } });
    const engine = new SimulatedEngine({ clock: systemClock });
    engine.setAvailable(false);
    const found = verdicts(await examined(plane.agentsServer, { engine }));
    assert.deepEqual([found.grpc, found.clock, found.identity, found.engine], ["good", "good", "bad", "bad"]);
  });
});
