import type { EntityManager } from "@mikro-orm/sqlite";
import type { Database } from "./database.ts";
import { CommandEntity, type CommandRow } from "./entities/command.ts";
import { canBeStored } from "./lookup.ts";
import { commandFromRow } from "./record-from-row.ts";
import type { CommandRecord } from "./records.ts";
import { RowWriter } from "./row-writer.ts";
import type { CommandQuery, CommandRepository } from "./storage.ts";

/** Writes commands; of those that are there only what can change is written, which spares most indexes. */
export const commandRows = new RowWriter<CommandRecord, CommandRow>({
  entity: CommandEntity,
  properties: [
    "id",
    "operation",
    "hostId",
    "hostName",
    "agentId",
    "container",
    "caller",
    "requestId",
    "requestDigest",
    "state",
    "reason",
    "message",
    "metadata",
    "changed",
    "attempt",
    "sessionEpoch",
    "journalId",
    "timeoutMs",
    "expireTime",
    "cancelRequested",
    "createTime",
    "dispatchTime",
    "acceptTime",
    "endTime",
    "transitions",
    "payload",
    "outcome",
  ],
  upsert: {
    key: "id",
    change: [
      "state",
      "reason",
      "message",
      "metadata",
      "changed",
      "attempt",
      "sessionEpoch",
      "journalId",
      "cancelRequested",
      "dispatchTime",
      "acceptTime",
      "endTime",
      "transitions",
      "payload",
      "outcome",
    ],
  },
});

/** The `CommandRepository` of a database. */
export class OrmCommandRepository implements CommandRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(id: string): Promise<CommandRecord | undefined> {
    if (!canBeStored(id)) {
      return undefined;
    }
    const row = await this.#database.read((em) => em.findOne(CommandEntity, { id }));
    return row === null ? undefined : commandFromRow(row);
  }

  async open(): Promise<CommandRecord[]> {
    const rows = await this.#database.read((em) =>
      em.find(CommandEntity, { endTime: null }, { orderBy: { id: "asc" } }),
    );
    return rows.map(commandFromRow);
  }

  async findByRequest(caller: string, requestId: string, since: number): Promise<CommandRecord | undefined> {
    if (!canBeStored(caller, requestId)) {
      return undefined;
    }
    const where = { caller, requestId, createTime: { $gte: since } };
    const [row] = await this.#database.read((em) =>
      em.find(CommandEntity, where, { orderBy: { createTime: "desc", id: "desc" }, limit: 1 }),
    );
    return row === undefined ? undefined : commandFromRow(row);
  }

  async list(query: CommandQuery): Promise<CommandRecord[]> {
    const { hostId, container, states, reasons, caller, createdSince, createdBefore, beforeId, limit } =
      query;
    if (!canBeStored(hostId, container, caller, beforeId, ...(reasons ?? []))) {
      return [];
    }
    const created = {
      ...(createdSince === undefined ? {} : { $gte: createdSince }),
      ...(createdBefore === undefined ? {} : { $lt: createdBefore }),
    };
    const where = {
      ...(hostId === undefined ? {} : { hostId }),
      ...(container === undefined ? {} : { container }),
      ...(states === undefined ? {} : { state: { $in: [...states] } }),
      ...(reasons === undefined ? {} : { reason: { $in: [...reasons] } }),
      ...(caller === undefined ? {} : { caller }),
      ...(Object.keys(created).length === 0 ? {} : { createTime: created }),
      ...(beforeId === undefined ? {} : { id: { $lt: beforeId } }),
    };
    const rows = await this.#database.read((em) =>
      em.find(CommandEntity, where, { orderBy: { id: "desc" }, limit }),
    );
    return rows.map(commandFromRow);
  }

  async prune(rule: {
    readonly endedBefore: number;
    readonly keepAtMost: number;
    readonly batch: number;
  }): Promise<number> {
    return this.#database.transact(async ({ em }) => {
      const ids = await prunable(em, rule);
      return ids.length === 0 ? 0 : em.nativeDelete(CommandEntity, { id: { $in: ids } });
    });
  }
}

/** The ids that a batch deletes. The index on the end's time answers all of it. */
async function prunable(
  em: EntityManager,
  rule: { readonly endedBefore: number; readonly keepAtMost: number; readonly batch: number },
): Promise<string[]> {
  const ended = { endTime: { $ne: null } };
  const excess = (await em.count(CommandEntity, ended)) - rule.keepAtMost;
  const oldest = await em.find(CommandEntity, ended, {
    fields: ["id", "endTime"],
    orderBy: { endTime: "asc", id: "asc" },
    limit: rule.batch,
  });
  return oldest
    .filter(({ endTime }, index) => index < excess || (endTime ?? Infinity) < rule.endedBefore)
    .map(({ id }) => id);
}
