import type { EntityManager } from "@mikro-orm/sqlite";
import { BoundStatement } from "./bound-statement.ts";
import { hostFromRow } from "./record-from-row.ts";
import type { HostFactsRecord, HostRecord } from "./records.ts";

/** What is read of an agent, by the names of its properties. */
export const agentColumns = [
  "id",
  "host_id as hostId",
  "public_key as publicKey",
  "version",
  "session_epoch as sessionEpoch",
  "online",
  "connect_time as connectTime",
  "last_seen_time as lastSeenTime",
  "instance_id as instanceId",
  "journal_id as journalId",
  "token_id as tokenId",
  "enrol_time as enrolTime",
] as const;

/** What is read of a host, likewise. */
const hostColumns = [
  "id",
  "name",
  "engine_id as engineId",
  "facts",
  "labels",
  "create_time as createTime",
] as const;

const agentById = new BoundStatement((kysely) =>
  kysely.selectFrom("agent").select(agentColumns).where("id", "=", ""),
);

/** A host by its id. */
export const hostById = new BoundStatement((kysely) =>
  kysely.selectFrom("host").select(hostColumns).where("id", "=", ""),
);

/** The host of an agent; undefined where there is no such agent. */
export async function findAgent(em: EntityManager, id: string): Promise<HostRecord | undefined> {
  // The connection is held: in the middle of somebody's transaction one would read what is not committed.
  return await em
    .getKysely()
    .connection()
    .execute(async () => {
      const agent = (await agentById.prepare(em)).get([id]);
      const host = agent && (await hostById.prepare(em)).get([agent.hostId]);
      return host && hostFrom(agent, host);
    });
}

/** A host from its agent's row and its own. */
export function hostFrom(agent: RowOf<typeof agentById>, host: RowOf<typeof hostById>): HostRecord {
  return hostFromRow({
    ...agent,
    online: agent.online !== 0,
    publicKey: new Uint8Array(agent.publicKey),
    host: {
      ...host,
      facts: JSON.parse(host.facts) as HostFactsRecord,
      labels: JSON.parse(host.labels) as Readonly<Record<string, string>>,
    },
  });
}

type RowOf<Statement> = Statement extends BoundStatement<infer Row> ? Row : never;
