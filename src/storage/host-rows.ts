import type { EntityManager, FilterQuery } from "@mikro-orm/sqlite";
import { AgentEntity, type AgentRow } from "./entities/agent.ts";
import { HostEntity, type HostRow } from "./entities/host.ts";
import { hostFromRow } from "./record-from-row.ts";
import type { HostRecord } from "./records.ts";
import { RowWriter } from "./row-writer.ts";

/** An agent's row as it is written: the host by its id. */
export interface AgentValues
  extends Pick<AgentRow, "id" | "publicKey" | "version" | "sessionEpoch" | "online"> {
  readonly host: string;
  readonly connectTime: number | undefined;
  readonly lastSeenTime: number | undefined;
  readonly instanceId: string | undefined;
  readonly journalId: string | undefined;
  readonly tokenId: string | undefined;
  readonly enrolTime: number | undefined;
}

/** Writes hosts; those that are there get the new facts. */
export const hostRows = new RowWriter<HostRow, HostRow>({
  entity: HostEntity,
  properties: ["id", "name", "engineId", "facts", "labels", "createTime"],
  upsert: { key: "id", change: ["facts"] },
});

/** Writes new agents. */
export const agentRows = new RowWriter<AgentValues, AgentRow>({
  entity: AgentEntity,
  properties: [
    "id",
    "host",
    "publicKey",
    "version",
    "sessionEpoch",
    "online",
    "connectTime",
    "lastSeenTime",
    "instanceId",
    "journalId",
    "tokenId",
    "enrolTime",
  ],
});

/** The hosts whose agents match, by name, then id. */
export async function findHosts(
  em: EntityManager,
  where: FilterQuery<AgentRow>,
  limit?: number,
): Promise<HostRecord[]> {
  const rows = await em.find(AgentEntity, where, {
    populate: ["host"],
    strategy: "joined",
    orderBy: [{ host: { name: "asc" } }, { host: { id: "asc" } }],
    ...(limit === undefined ? {} : { limit }),
  });
  return rows.map(hostFromRow);
}

/** What an agent's row says of a host. */
export function agentValuesFrom(host: HostRecord): AgentValues {
  return {
    id: host.agentId,
    host: host.id,
    publicKey: host.publicKey,
    version: host.agentVersion,
    sessionEpoch: host.sessionEpoch,
    online: host.online,
    connectTime: host.connectTime,
    lastSeenTime: host.lastSeenTime,
    instanceId: host.instanceId,
    journalId: host.journalId,
    tokenId: host.tokenId,
    enrolTime: host.enrolTime,
  };
}
