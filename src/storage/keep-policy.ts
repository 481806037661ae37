import type { Transaction } from "./database.ts";
import { AgentEntity } from "./entities/agent.ts";
import { HostEntity } from "./entities/host.ts";
import { findHosts } from "./host-rows.ts";
import type { HostPolicyRecord } from "./records.ts";

/** Puts a policy among a host's facts inside a transaction; see `FleetRepository.keepPolicy`. */
export async function keepPolicy(
  { em }: Transaction,
  told: { readonly agentId: string; readonly epoch: number; readonly policy: HostPolicyRecord },
): Promise<boolean> {
  const current = { id: told.agentId, sessionEpoch: told.epoch };
  // Changes nothing, but from here on nobody else writes before this transaction ends.
  if ((await em.nativeUpdate(AgentEntity, current, { sessionEpoch: told.epoch })) === 0) return false;
  const [host] = await findHosts(em, current, 1);
  if (host === undefined) return false;
  const facts = { ...host.facts, policy: told.policy };
  return (await em.nativeUpdate(HostEntity, { id: host.id }, { facts })) > 0;
}
