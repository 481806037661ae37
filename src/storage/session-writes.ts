import { AgentEntity } from "./entities/agent.ts";
import type { Transaction } from "./database.ts";
import { agentRows, agentValuesFrom, findHosts, hostRows } from "./host-rows.ts";
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

/** Gives each agent its next epoch; the host as it is then, or undefined where there is no such agent. */
export async function writeBegunSessions(
  { em }: Transaction,
  begun: readonly BegunSession[],
): Promise<(HostRecord | undefined)[]> {
  const among = { id: { $in: [...new Set(begun.map(({ agentId }) => agentId))] } };
  // First of all something is written, so that no other process can come between reading and writing.
  await em.nativeUpdate(AgentEntity, among, { online: true });
  const hosts = new Map((await findHosts(em, among)).map((host) => [host.agentId, host]));
  const results = begun.map(({ agentId, start }) => {
    const host = hosts.get(agentId);
    if (host === undefined) {
      return undefined;
    }
    const next = withSession(host, start);
    hosts.set(agentId, next);
    return next;
  });
  await hostRows.write(em, [...hosts.values()]);
  await agentRows.write(em, [...hosts.values()].map(agentValuesFrom));
  return results;
}

/** Marks those agents offline whose epoch is still the given one; tells for each whether it was. */
export async function writeEndedSessions(
  { em }: Transaction,
  ended: readonly EndedSession[],
): Promise<boolean[]> {
  const results: boolean[] = [];
  for (const { agentId, epoch, now } of ended) {
    const current = { id: agentId, sessionEpoch: epoch, online: true };
    const count = await em.nativeUpdate(AgentEntity, current, { online: false, lastSeenTime: now });
    results.push(count > 0);
  }
  return results;
}

function withSession(host: HostRecord, start: SessionStart): HostRecord {
  return {
    ...host,
    facts: start.facts,
    agentVersion: start.agentVersion,
    sessionEpoch: Math.max(host.sessionEpoch + 1, start.minEpoch ?? 0),
    online: true,
    connectTime: start.now,
    lastSeenTime: start.now,
    instanceId: start.instanceId,
    journalId: start.journalId,
  };
}
