import { join } from "node:path";
import { newId } from "../../src/domain/ids.ts";
import { agentRows, hostRows } from "../../src/storage/host-rows.ts";
import { openOrm } from "../../src/storage/open-orm.ts";
import { type RawIdentity, rawIdentity } from "./raw-agent.ts";

/** Hosts that were enrolled long ago, written into the database of a control plane that does not run yet. */
export async function enrolledFleet(dataDir: string, count: number): Promise<RawIdentity[]> {
  const fleet = Array.from({ length: count }, (_, index) => ({
    identity: rawIdentity(`engine-of-fleet-${index}`),
    hostId: newId(),
    name: `host-${index}`,
  }));
  for (const { identity } of fleet) identity.agentId = newId();
  const orm = await openOrm(join(dataDir, "fairlead.db"));
  try {
    await orm.em.fork().transactional(async (em) => {
      await hostRows.write(em, fleet.map(hostRowOf));
      await agentRows.write(em, fleet.map(agentRowOf));
    });
  } finally {
    await orm.close();
  }
  return fleet.map(({ identity }) => identity);
}

interface Member {
  readonly identity: RawIdentity;
  readonly hostId: string;
  readonly name: string;
}

function hostRowOf({ identity: { engineId }, hostId: id, name }: Member) {
  const facts = {
    engineId,
    hostname: name,
    operatingSystem: "Debian GNU/Linux 12",
    kernelVersion: "",
    architecture: "",
    engineVersion: "",
    engineApiVersion: "",
    cpuCount: 0,
    memoryBytes: 0,
    simulated: false,
  };
  return { id, name, engineId, facts, labels: {}, createTime: 0 };
}

function agentRowOf({ identity: { agentId: id, publicKey }, hostId: host }: Member) {
  const never = {
    connectTime: undefined,
    lastSeenTime: undefined,
    instanceId: undefined,
    journalId: undefined,
  };
  const start = { version: "0.0.1-test", sessionEpoch: 0, online: false };
  return { id, host, publicKey, ...start, ...never, tokenId: undefined, enrolTime: undefined };
}
