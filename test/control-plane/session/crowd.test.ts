import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FleetError } from "../../../src/domain/errors.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { enrolledFleet } from "../../support/enrolled-fleet.ts";
import { RawAgent, type RawIdentity } from "../../support/raw-agent.ts";

const honest = 2_000;
const patienceMs = 120_000;

/** Streams of one address that never say who they are, many on a connection. */
class SilentCrowd {
  /** How many were heard: they got their challenge. */
  heard = 0;
  readonly #sessions: ClientHttp2Session[] = [];

  /** Opens them from another address than everybody else's, and waits until all of the address's share is taken. */
  static async from(localAddress: string, port: number, { connections = 20, each = 100 } = {}) {
    const crowd = new SilentCrowd();
    for (let count = 0; count < connections; count += 1) {
      const createConnection = () => connect({ host: "127.0.0.1", port, localAddress });
      const session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection });
      session.on("error", () => undefined);
      crowd.#sessions.push(session);
      await once(session, "connect");
      for (let stream = 0; stream < each; stream += 1) crowd.#open(session);
    }
    return crowd;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #open(session: ClientHttp2Session): void {
    const stream = session.request({
      ":method": "POST",
      ":path": "/fairlead.agent.v1.AgentService/AgentStream",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => undefined);
    stream.once("data", () => (this.heard += 1));
  }
}

/** Comes back. What the network does is tried again, as every agent does; what the control plane refuses is an error. */
async function back(port: number, identity: RawIdentity, fleet: RawAgent[]): Promise<void> {
  for (;;) {
    const agent = new RawAgent(port, identity);
    try {
      await agent.reconnect();
      fleet.push(agent);
      return;
    } catch (error) {
      agent.close();
      if (!(error instanceof FleetError) || error.reason !== "SERVER_UNREACHABLE") throw error;
    }
  }
}

/** All of them at once, from one address. Rejects when the control plane refuses a single one. */
async function allBack(plane: TestControlPlane, identities: readonly RawIdentity[]): Promise<void> {
  const { port } = plane.controlPlane.agentsAddress;
  const fleet: RawAgent[] = [];
  try {
    await Promise.all(identities.map((identity) => back(port, identity, fleet)));
    assert.equal(plane.controlPlane.sessions.size, identities.length);
  } finally {
    for (const agent of fleet) agent.close();
  }
  await eventually(() => plane.controlPlane.sessions.size === 0, "everybody has gone", patienceMs);
}

describe("a crowd of honest agents behind one address", function () {
  this.timeout(2 * patienceMs);
  this.slow(30_000);
  let dataDir: string;
  let identities: RawIdentity[];
  let plane: TestControlPlane;

  before(async () => {
    // Where there is one, a folder in memory: how fast a disk is does not matter here.
    const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    dataDir = await mkdtemp(join(folder, "fairlead-crowd-"));
    identities = await enrolledFleet(dataDir, honest);
    // A lease that outlasts the slowest machine: raw agents are silent. All limits before identity are the defaults.
    // Without TLS: the crowd's streams are made by hand, and one process would have to negotiate for all 2,000 clients.
    const session = { leaseMs: 2 * patienceMs };
    plane = await testControlPlane({ dataDir, session, tls: { kind: "off" } });
  });
  after(async () => {
    await plane?.[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  it("S17 2,000 that come back at once all get in, beside 2,000 streams of another address that hold its whole share and say nothing", async () => {
    const { port } = plane.controlPlane.agentsAddress;
    const crowd = await SilentCrowd.from("127.0.0.2", port);
    try {
      await eventually(() => crowd.heard === 256, "the share of one address is taken", patienceMs);
      await allBack(plane, identities);
    } finally {
      crowd.close();
    }
  });
});
