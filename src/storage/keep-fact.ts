import type { Transaction } from "./database.ts";
import { AgentEntity } from "./entities/agent.ts";
import { HostEntity } from "./entities/host.ts";
import { findHosts } from "./host-rows.ts";
import type { HostFactsRecord } from "./records.ts";

/** What an agent tells of its host in the middle of a session. */
export type ToldFact =
  | Pick<HostFactsRecord, "policy">
  | Pick<HostFactsRecord, "authorities">
  | Pick<HostFactsRecord, "certificate">;

/** Puts something among a host's facts inside a transaction. False: the session with this epoch does not count any more. */
export async function keepFact(
  { em }: Transaction,
  told: { readonly agentId: string; readonly epoch: number; readonly fact: ToldFact },
): Promise<boolean> {
  const current = { id: told.agentId, sessionEpoch: told.epoch };
  // Changes nothing, but from here on nobody else writes before this transaction ends.
  if ((await em.nativeUpdate(AgentEntity, current, { sessionEpoch: told.epoch })) === 0) return false;
  const [host] = await findHosts(em, current, 1);
  if (host === undefined) return false;
  const facts = { ...host.facts, ...told.fact };
  return (await em.nativeUpdate(HostEntity, { id: host.id }, { facts })) > 0;
}
