import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FleetError } from "../../../src/domain/errors.ts";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { openStorage } from "../../../src/storage/storage.ts";
import { eventually, testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { recordedEvent } from "../../support/recorded-events.ts";
import { silentLogger } from "../../support/silent-logger.ts";

async function hostInApi(plane: TestControlPlane) {
  const { hosts } = await plane.client(HostService).listHosts({});
  assert.equal(hosts.length, 1);
  return hosts[0];
}

/** What the database says, read past the control plane that has it open. */
async function onlineInDatabase({ dataDir }: TestControlPlane): Promise<boolean | undefined> {
  const storage = await openStorage({ path: `${dataDir}/fairlead.db`, logger: silentLogger });
  try {
    return (await storage.fleet.all())[0]?.online;
  } finally {
    await storage.close();
  }
}

describe("presence of hosts", () => {
  it("S06 a host is online after the welcome, and offline after the end, in the database and in the API", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    assert.equal((await hostInApi(plane))?.online, true);
    assert.equal(await onlineInDatabase(plane), true);
    agent.close();
    await eventually(async () => (await hostInApi(plane))?.online === false, "offline in the API");
    await eventually(async () => (await onlineInDatabase(plane)) === false, "offline in the database");
    const offline = await recordedEvent(plane, EventType.HOST_OFFLINE);
    assert.equal(offline.attributes["reason"], "SESSION_LOST");
    await plane.returned(agent);
    assert.equal((await hostInApi(plane))?.online, true);
    assert.equal(await onlineInDatabase(plane), true);
  });

  it("S06 an agent that closes its side politely is offline too, and learns that it was understood", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.halfClose();
    assert.equal((await agent.ended).reason, "SESSION_LOST");
    await eventually(async () => (await hostInApi(plane))?.online === false, "offline in the API");
  });

  it("S06 a host survives a restart of the control plane as offline", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    await plane.restart();
    assert.equal((await agent.ended).reason, "DRAINING");
    const host = await hostInApi(plane);
    assert.equal(host?.name, "raw-host");
    assert.equal(host?.online, false);
    await plane.returned(agent);
    assert.equal((await hostInApi(plane))?.online, true);
  });

  it("S06 a host that a crash left online in the database is offline after the start", async () => {
    await using plane = await testControlPlane();
    await plane.enrolled();
    assert.equal(await onlineInDatabase(plane), true);
    // Another control plane on what a SIGKILL of the first would have left behind.
    const left = await mkdtemp(join(tmpdir(), "fairlead-left-"));
    // The log first: what moves from it to the main file meanwhile is then in both.
    await cp(join(plane.dataDir, "fairlead.db-wal"), join(left, "fairlead.db-wal"));
    await cp(plane.dataDir, left, { recursive: true, filter: (path) => !path.endsWith("-wal") });
    await using second = await testControlPlane({ dataDir: left });
    assert.equal((await hostInApi(second))?.online, false);
    await rm(left, { recursive: true });
  });

  it("S07 an agent that is silent for longer than its lease is ended and offline, while one that speaks stays", async () => {
    await using plane = await testControlPlane({ session: { heartbeatIntervalMs: 30, leaseMs: 150 } });
    const [silent, speaking] = [await plane.enrolled(), await plane.enrolled()];
    const beat = setInterval(() => speaking.send({}), 20);
    try {
      const ended: FleetError = await silent.ended;
      assert.equal(ended.reason, "LEASE_EXPIRED");
      const offline = await recordedEvent(plane, EventType.HOST_OFFLINE);
      assert.equal(offline.hostId, silent.welcome?.hostId);
      assert.equal(offline.attributes["reason"], "LEASE_EXPIRED");
      // Twice its lease, counted in what the control plane says to it.
      const heard = speaking.frames.length;
      await speaking.frame(() => speaking.frames.length >= heard + 10);
      assert.ok(plane.controlPlane.sessions.isOnline(speaking.identity.agentId));
      assert.ok(speaking.frames.every(({ sentTime }) => sentTime !== undefined));
    } finally {
      clearInterval(beat);
    }
  });
});
