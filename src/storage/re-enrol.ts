import type { EntityManager } from "@mikro-orm/sqlite";
import { AgentEntity } from "./entities/agent.ts";
import { HostEntity } from "./entities/host.ts";
import { EnrolmentRefused } from "./enrolment-refused.ts";
import { agentRows, agentValuesFrom, findHosts, hostRows } from "./host-rows.ts";
import type { HostRecord, TokenRecord } from "./records.ts";
import type { Enrolment } from "./fleet-repository.ts";

// How long after its enrolment an agent that heard nothing of it may ask again, when its token has expired meanwhile.
const repeatMs = 24 * 3_600_000;

/**
 * The host that this very key was given for this very token before, whose answer may have been lost on its way. Undefined when there
 * is none, and when the token was revoked, or has expired and a day has passed.
 */
export async function enrolledBefore(
  em: EntityManager,
  { agent, host, now }: Enrolment,
  token: TokenRecord,
): Promise<HostRecord | undefined> {
  if (token.revokeTime !== undefined) {
    return undefined;
  }
  const [known] = await findHosts(em, { publicKey: agent.publicKey, tokenId: token.id }, 1);
  if (known === undefined || known.engineId !== host.engineId) {
    return undefined;
  }
  const isFresh = token.expireTime > now || (known.enrolTime ?? known.createTime) + repeatMs > now;
  return isFresh ? known : undefined;
}

/**
 * Gives the host that a token was made for a new agent, and maybe another engine. Name, labels and history stay; the agent that it had
 * is gone. Throws `EnrolmentRefused` when the host is, or when the engine is another host's.
 */
export async function reEnrol(
  em: EntityManager,
  enrolment: Enrolment,
  token: TokenRecord,
  hostId: string,
): Promise<{ readonly host: HostRecord; readonly previous: HostRecord }> {
  const [previous] = await findHosts(em, { host: { id: hostId } }, 1);
  if (previous === undefined) {
    throw new EnrolmentRefused("HOST_GONE", token);
  }
  const { agent, now } = enrolment;
  const { engineId, facts, agentVersion } = enrolment.host;
  if (engineId !== previous.engineId) {
    await refuseEngineOfAnother(em, enrolment, token, hostId);
  }
  const host: HostRecord = {
    ...previous,
    engineId,
    facts,
    agentVersion,
    agentId: agent.id,
    publicKey: agent.publicKey,
    online: false,
    instanceId: undefined,
    journalId: undefined,
    tokenId: token.id,
    enrolTime: now,
  };
  await em.nativeDelete(AgentEntity, { id: previous.agentId });
  await hostRows.write(em, [host]);
  await em.nativeUpdate(HostEntity, { id: hostId }, { engineId });
  await agentRows.write(em, [agentValuesFrom(host)]);
  return { host, previous };
}

async function refuseEngineOfAnother(
  em: EntityManager,
  { host: { engineId }, uniqueByName }: Enrolment,
  token: TokenRecord,
  hostId: string,
): Promise<void> {
  if (uniqueByName) {
    return;
  }
  const [other] = await findHosts(em, { host: { engineId, id: { $ne: hostId } } }, 1);
  if (other !== undefined) {
    throw new EnrolmentRefused("ENGINE_KNOWN", token, other);
  }
}
