import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { pino } from "pino";
import { startAgent } from "../../src/agent/agent.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import type { TlsConfig } from "../../src/control-plane/config.ts";
import type { ControlPlane } from "../../src/control-plane/control-plane.ts";
import { startControlPlane } from "../../src/control-plane/control-plane.ts";
import { registrationTokenText } from "../../src/domain/registration-token.ts";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { connectTransport, keyFileOf } from "../support/api-place.ts";
import { eventually } from "../support/control-plane-harness.ts";

const listen = { host: "127.0.0.1", port: 0 };
const logger = pino({ level: "silent" });

describe("TLS from the first start", () => {
  let folder: string;
  let plane: ControlPlane;
  const engine = new SimulatedEngine({ clock: systemClock });
  const agentOptions = (name: string, token?: string) => ({
    server: `localhost:${plane.agentsAddress.port}`,
    dataDir: join(folder, name),
    engine,
    logger,
    ...(token === undefined ? {} : { token }),
  });
  const start = (tls: TlsConfig = { kind: "own" }) =>
    startControlPlane({
      tls,
      dataDir: join(folder, "data"),
      agentsListen: listen,
      apiListen: listen,
      logger,
    });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-tls-"));
    plane = await start();
  });
  afterEach(async () => {
    await plane.close(0);
    await rm(folder, { recursive: true });
  });

  it("V07 an agent enrols over TLS by the digest in its token, keeps the authority, and comes back without the token", async () => {
    const first = await startAgent(agentOptions("agent", await plane.createToken("tls")));
    await first.ready;
    await first.close();
    assert.equal(await readFile(join(folder, "agent", "ca.pem"), "utf8"), plane.authorityCertificate);
    const again = await startAgent(agentOptions("agent"));
    await again.ready;
    assert.equal(again.agentId(), first.agentId());
    await again.close();
  });

  it("V07 an agent refuses a server whose authority is not the one in its token, and tells it nothing", async () => {
    const secret = "x".repeat(43);
    const token = registrationTokenText({ caDigest: "A".repeat(43), secret });
    const agent = await startAgent(agentOptions("stranger", token));
    const refused = await agent.done;
    assert.equal(refused?.reason, "UNTRUSTED_SERVER");
    const { events } = plane;
    const told = await events.list({}, 0, 10);
    assert.deepEqual(
      told.map(({ type }) => type),
      [EventType.API_KEY_CREATED],
    );
  });

  it("V07 an agent whose token names no authority is told that the server speaks TLS, and does not try for ever", async () => {
    const token = registrationTokenText({ caDigest: "none", secret: "x".repeat(43) });
    const agent = await startAgent(agentOptions("plain", token));
    const refused = await agent.done;
    assert.equal(refused?.reason, "UNTRUSTED_SERVER");
    assert.match(refused.message, /speaks TLS.*its token has no digest.*a new token/);
  });

  it("V07 an agent that has an authority to trust is told that the server speaks no TLS, enrolled or not", async () => {
    const enrolled = await startAgent(agentOptions("agent", await plane.createToken("tls")));
    await enrolled.ready;
    await enrolled.close();
    const token = await plane.createToken("late");
    await plane.close(0);
    plane = await start({ kind: "off" });
    const stranger = await startAgent(agentOptions("stranger", token));
    const refused = await stranger.done;
    assert.equal(refused?.reason, "UNTRUSTED_SERVER");
    assert.match(refused.message, /does not speak TLS/);
    const lines: string[] = [];
    const agent = await startAgent({
      ...agentOptions("agent"),
      logger: pino({}, { write: (line: string) => void lines.push(line) }),
    });
    await eventually(() => lines.some((line) => line.includes("does not speak TLS")), "the agent says why");
    await agent.close();
  });

  it("V07 an agent that trusts another authority does not talk to this one", async () => {
    const enrolled = await startAgent(agentOptions("agent", await plane.createToken("tls")));
    await enrolled.ready;
    await enrolled.close();
    await plane.close(0);
    await rm(join(folder, "data", "tls"), { recursive: true });
    plane = await start();
    const lines: string[] = [];
    const agent = await startAgent({
      ...agentOptions("agent"),
      logger: pino({}, { write: (line: string) => void lines.push(line) }),
    });
    while (!lines.some((line) => line.includes("SESSION_LOST"))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(plane.sessions.size, 0);
    await agent.close();
  });

  it("V07 callers trust the API by the same authority, and its key is for the owner only", async () => {
    const baseUrl = `https://localhost:${plane.apiAddress.port}`;
    const { apiKey } = keyFileOf(plane.keyFile ?? "");
    const call = (ca?: string) =>
      createClient(HostService, connectTransport({ baseUrl, ca }, apiKey)).listHosts({});
    assert.deepEqual((await call(plane.authorityCertificate)).hosts, []);
    await assert.rejects(call(), /certificate/);
    const { mode } = await stat(join(folder, "data", "tls", "ca.key"));
    assert.equal(mode & 0o777, 0o600);
  });

  it("V07 a restart keeps the authority, so that nobody has to enrol again", async () => {
    const before = plane.authorityCertificate;
    await plane.close(0);
    plane = await start();
    assert.equal(plane.authorityCertificate, before);
  });
});
