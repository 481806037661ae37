import { agentColumns, hostById, hostFrom } from "./agent-rows.ts";
import { BoundStatement } from "./bound-statement.ts";
import type { Transaction } from "./database.ts";
import type { HostRecord } from "./records.ts";
import type { SessionStart } from "./fleet-repository.ts";

/** One agent whose session begins. */
export interface BegunSession {
  readonly agentId: string;
  readonly start: SessionStart;
}

/** One agent whose session ended. */
export interface EndedSession {
  readonly agentId: string;
  readonly epoch: number;
  readonly now: number;
}

const begin = new BoundStatement((kysely) =>
  kysely
    .updateTable("agent")
    .set(({ eb }) => ({
      version: "",
      session_epoch: eb
        .case()
        .when("session_epoch", "<", 0)
        .then(eb.val(0))
        .else(eb("session_epoch", "+", eb.lit(1)))
        .end(),
      online: eb.lit(1),
      connect_time: 0,
      last_seen_time: 0,
      instance_id: "",
      journal_id: "",
    }))
    .where("id", "=", "")
    .returning(agentColumns),
);

const keepFacts = new BoundStatement((kysely) =>
  kysely.updateTable("host").set({ facts: "" }).where("id", "=", ""),
);

const end = new BoundStatement((kysely) =>
  kysely
    .updateTable("agent")
    .set(({ eb }) => ({ online: eb.lit(0), last_seen_time: 0 }))
    .where("id", "=", "")
    .where("session_epoch", "=", 0)
    .where(({ eb }) => eb("online", "=", eb.lit(1))),
);

/** Gives each agent its next epoch; the host as it is then, or undefined where there is no such agent. */
export async function writeBegunSessions(
  { em }: Transaction,
  begun: readonly BegunSession[],
): Promise<(HostRecord | undefined)[]> {
  const [begins, hosts, factsOf] = [
    await begin.prepare(em),
    await hostById.prepare(em),
    await keepFacts.prepare(em),
  ];
  return begun.map(({ agentId, start }) => {
    const { agentVersion, minEpoch = 0, now, instanceId, journalId } = start;
    // First of all something is written, so that no other process can come between reading and writing.
    const agent = begins.get([agentVersion, minEpoch, minEpoch, now, now, instanceId, journalId, agentId]);
    const host = agent && hosts.get([agent.hostId]);
    if (agent === undefined || host === undefined) return undefined;
    const facts = JSON.stringify(start.facts);
    // Hardly ever is anything new.
    if (facts !== host.facts) factsOf.run([facts, host.id]);
    return hostFrom(agent, { ...host, facts });
  });
}

/** Marks those agents offline whose epoch is still the given one; tells for each whether it was. */
export async function writeEndedSessions(
  { em }: Transaction,
  ended: readonly EndedSession[],
): Promise<boolean[]> {
  const ends = await end.prepare(em);
  return ended.map(({ agentId, epoch, now }) => ends.run([now, agentId, epoch]).changes > 0);
}
