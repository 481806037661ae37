import type { EntityManager } from "@mikro-orm/sqlite";
import type { Transaction } from "./database.ts";
import { EngineBanEntity, type EngineBanRow } from "./entities/engine-ban.ts";
import { canBeStored } from "./lookup.ts";
import type { EngineBanRecord, NewEvent } from "./records.ts";
import { RowWriter } from "./row-writer.ts";

const banRows = new RowWriter<EngineBanRecord, EngineBanRow>({
  entity: EngineBanEntity,
  properties: ["engineId", "hostName", "bannedBy", "banTime"],
  // Several hosts may have had one engine id: the latest ban stands for all of them.
  upsert: { key: "engineId", change: ["hostName", "bannedBy", "banTime"] },
});

/** Bans an engine. */
export async function writeBan(em: EntityManager, ban: EngineBanRecord): Promise<void> {
  await banRows.write(em, [ban]);
}

/** Whether an engine is banned. */
export async function isBanned(em: EntityManager, engineId: string): Promise<boolean> {
  return canBeStored(engineId) && (await em.count(EngineBanEntity, { engineId })) > 0;
}

/** A page of bans, by engine id, beginning after the given one. */
export async function findBans(
  em: EntityManager,
  after: string | undefined,
  limit: number,
): Promise<EngineBanRecord[]> {
  if (!canBeStored(after)) {
    return [];
  }
  const where = after === undefined ? {} : { engineId: { $gt: after } };
  const rows = await em.find(EngineBanEntity, where, { orderBy: { engineId: "asc" }, limit });
  return rows.map(banFromRow);
}

/** Takes a ban away and stores the events; see `FleetRepository.liftBan`. */
export async function liftBan(
  { em, insertEvents }: Transaction,
  engineId: string,
  events: (ban: EngineBanRecord) => readonly NewEvent[],
): Promise<EngineBanRecord | undefined> {
  const row = await em.findOne(EngineBanEntity, { engineId });
  if (row === null || (await em.nativeDelete(EngineBanEntity, { engineId })) === 0) {
    return undefined;
  }
  const ban = banFromRow(row);
  await insertEvents(events(ban));
  return ban;
}

function banFromRow({ engineId, hostName, bannedBy, banTime }: EngineBanRow): EngineBanRecord {
  return { engineId, hostName, bannedBy, banTime };
}
