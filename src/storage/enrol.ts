import type { EntityManager } from "@mikro-orm/sqlite";
import type { Transaction } from "./database.ts";
import { isBanned } from "./engine-bans.ts";
import { EnrolmentRefused } from "./enrolment-refused.ts";
import { HostEntity } from "./entities/host.ts";
import { RegistrationTokenEntity } from "./entities/registration-token.ts";
import { agentRows, agentValuesFrom, findHosts, hostRows } from "./host-rows.ts";
import { canBeStored } from "./lookup.ts";
import { tokenFromRow } from "./record-from-row.ts";
import { enrolledBefore, reEnrol } from "./re-enrol.ts";
import type { HostRecord, TokenRecord } from "./records.ts";
import type { EnrolledHost, Enrolment, EnrolmentRefusal } from "./fleet-repository.ts";

/** The longest display name. */
const maxNameLength = 63;

/**
 * Counts the use of the token and inserts host, agent and events; see `FleetRepository.enrol`. The token is locked first (on
 * PostgreSQL its row), so that of two that present one token the second sees the first.
 */
export async function enrol(transaction: Transaction, enrolment: Enrolment): Promise<EnrolledHost> {
  const { em } = transaction;
  const token = await lockToken(em, enrolment);
  const known = await enrolledBefore(em, enrolment, token);
  const enrolled: EnrolledHost =
    known === undefined ? await use(em, enrolment, token) : { host: known, token, manner: "repeated" };
  await transaction.insertEvents(enrolment.events(enrolled));
  return enrolled;
}

async function use(em: EntityManager, enrolment: Enrolment, unused: TokenRecord): Promise<EnrolledHost> {
  const unusable = whyUnusable(unused, enrolment.now);
  if (unusable !== undefined) {
    throw new EnrolmentRefused(unusable, unused);
  }
  if (await isBanned(em, enrolment.host.engineId)) {
    throw new EnrolmentRefused("ENGINE_BANNED", unused);
  }
  if (unused.hostId !== undefined) {
    const { host, previous } = await reEnrol(em, enrolment, unused, unused.hostId);
    const token = await countUse(em, enrolment, unused, host);
    return { host, token, manner: "returned", previous };
  }
  await refuseKnownEngine(em, enrolment, unused);
  const host = hostOf(enrolment, await freeName(em, enrolment, unused), unused);
  await hostRows.write(em, [host]);
  await agentRows.write(em, [agentValuesFrom(host)]);
  return { host, token: await countUse(em, enrolment, unused, host), manner: "new" };
}

async function lockToken(em: EntityManager, { secretHash }: Enrolment): Promise<TokenRecord> {
  // Changes nothing, but from here on nobody else can use the token before this transaction ends.
  await em.nativeUpdate(RegistrationTokenEntity, { secretHash }, { secretHash });
  const row = await em.findOne(RegistrationTokenEntity, { secretHash });
  if (row === null) {
    throw new EnrolmentRefused("UNKNOWN");
  }
  return tokenFromRow(row);
}

/** Counts one use and returns the token as it is then. */
async function countUse(
  em: EntityManager,
  { now, address }: Enrolment,
  token: TokenRecord,
  { id, name, facts, engineId }: HostRecord,
): Promise<TokenRecord> {
  const useCount = token.useCount + 1;
  const lastUse = { hostId: id, hostName: name, hostname: facts.hostname, engineId, address, useTime: now };
  await em.nativeUpdate(RegistrationTokenEntity, { id: token.id }, { useCount, lastUse });
  return { ...token, useCount, lastUse };
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

function hostOf({ now, host, agent }: Enrolment, name: string, token: TokenRecord): HostRecord {
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
    tokenId: token.id,
    enrolTime: now,
  };
}
