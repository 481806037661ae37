import type { EntityManager } from "@mikro-orm/sqlite";
import type { Transaction } from "./database.ts";
import { HostEntity } from "./entities/host.ts";
import { RegistrationTokenEntity } from "./entities/registration-token.ts";
import { agentRows, agentValuesFrom, findHosts, hostRows } from "./host-rows.ts";
import { canBeStored } from "./lookup.ts";
import { tokenFromRow } from "./record-from-row.ts";
import type { HostRecord, TokenRecord } from "./records.ts";
import type { EnrolledHost, Enrolment, EnrolmentRefusal, EnrolmentResult } from "./storage.ts";

/** The longest display name. */
const maxNameLength = 63;

/** Ends the transaction of an enrolment that is refused, so that nothing of it remains. */
export class EnrolmentRefused extends Error {
  override readonly name = "EnrolmentRefused";
  readonly result: EnrolmentResult & { readonly kind: "refused" };

  constructor(cause: EnrolmentRefusal, token?: TokenRecord, existing?: HostRecord) {
    super(`enrolment refused: ${cause}`);
    this.result = { kind: "refused", cause, token, existing };
  }
}

/**
 * Counts the use of the token and inserts host, agent and events. The use is counted first: that takes the write
 * lock (on PostgreSQL the token's row), so that of two that present one token the second sees the first.
 */
export async function enrol(transaction: Transaction, enrolment: Enrolment): Promise<EnrolledHost> {
  const { em } = transaction;
  const token = await useToken(em, enrolment);
  await refuseKnownEngine(em, enrolment, token);
  const name = await freeName(em, enrolment, token);
  const host = hostOf(enrolment, name);
  await hostRows.write(em, [host]);
  await agentRows.write(em, [agentValuesFrom(host)]);
  const enrolled = { host, token };
  await transaction.insertEvents(enrolment.events(enrolled));
  return enrolled;
}

/** Counts one use and returns the token as it is then. */
async function useToken(em: EntityManager, { secretHash, now }: Enrolment): Promise<TokenRecord> {
  // Changes nothing, but from here on nobody else can use the token before this transaction ends.
  await em.nativeUpdate(RegistrationTokenEntity, { secretHash }, { secretHash });
  const row = await em.findOne(RegistrationTokenEntity, { secretHash });
  if (row === null) {
    throw new EnrolmentRefused("UNKNOWN");
  }
  const token = tokenFromRow(row);
  const unusable = whyUnusable(token, now);
  if (unusable !== undefined) {
    throw new EnrolmentRefused(unusable, token);
  }
  const useCount = token.useCount + 1;
  await em.nativeUpdate(RegistrationTokenEntity, { id: token.id }, { useCount });
  return { ...token, useCount };
}

function whyUnusable(token: TokenRecord, now: number): EnrolmentRefusal | undefined {
  if (token.revokeTime !== undefined) {
    return "REVOKED";
  }
  if (token.expireTime <= now) {
    return "EXPIRED";
  }
  return token.useCount >= token.maxUses ? "USED_UP" : undefined;
}

async function refuseKnownEngine(
  em: EntityManager,
  { host, uniqueByName }: Enrolment,
  token: TokenRecord,
): Promise<void> {
  if (uniqueByName || !canBeStored(host.engineId)) {
    return;
  }
  const [existing] = await findHosts(em, { host: { engineId: host.engineId } }, 1);
  if (existing !== undefined) {
    throw new EnrolmentRefused("ENGINE_KNOWN", token, existing);
  }
}

async function freeName(em: EntityManager, enrolment: Enrolment, token: TokenRecord): Promise<string> {
  const { host, uniqueByName, nameWanted } = enrolment;
  if (!uniqueByName) {
    return distinctName(em, host.name);
  }
  if (!nameWanted) {
    throw new EnrolmentRefused("NAME_REQUIRED", token);
  }
  const [existing] = await findHosts(em, { host: { name: host.name } }, 1);
  if (existing !== undefined) {
    throw new EnrolmentRefused("NAME_IN_USE", token, existing);
  }
  return host.name;
}

async function distinctName(em: EntityManager, wanted: string): Promise<string> {
  // Room for a suffix of seven digits. The pattern may match too much, which does no harm.
  const stem = wanted.slice(0, maxNameLength - 8);
  const rows = await em.find(HostEntity, { name: { $like: `${stem}%` } }, { fields: ["name"] });
  const taken = new Set(rows.map(({ name }) => name));
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) {
    const suffix = `-${number}`;
    name = `${wanted.slice(0, maxNameLength - suffix.length)}${suffix}`;
  }
  return name;
}

function hostOf({ now, host, agent }: Enrolment, name: string): HostRecord {
  return {
    id: host.id,
    name,
    engineId: host.engineId,
    agentId: agent.id,
    facts: host.facts,
    labels: {},
    agentVersion: host.agentVersion,
    publicKey: agent.publicKey,
    sessionEpoch: 0,
    online: false,
    createTime: now,
  };
}
