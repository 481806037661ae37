import type { EntityManager } from "@mikro-orm/sqlite";
import type { Database } from "./database.ts";
import { EventEntity } from "./entities/event.ts";
import { canBeStored } from "./lookup.ts";
import type { EventRecord } from "./records.ts";
import type { EventQuery, EventRepository } from "./event-repository.ts";
import { readRows } from "./row-reader.ts";

/** The `EventRepository` of a database. */
export class OrmEventRepository implements EventRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(query: EventQuery): Promise<EventRecord[]> {
    const { afterSequence, upTo, types, hostIds, container, commandId, limit } = query;
    if (!canBeStored(container, commandId, ...(hostIds ?? []))) {
      return [];
    }
    const where = {
      sequence: upTo === undefined ? { $gt: afterSequence } : { $gt: afterSequence, $lte: upTo },
      ...(types === undefined ? {} : { type: { $in: [...types] } }),
      ...(hostIds === undefined ? {} : { hostId: { $in: [...hostIds] } }),
      ...(commandId === undefined ? {} : { commandId }),
      ...(container === undefined ? {} : { $or: [{ containerId: container }, { containerName: container }] }),
    };
    return this.#database.read((em) =>
      readRows(em, EventEntity, { where, orderBy: { sequence: "asc" }, limit }),
    );
  }

  async newestOfHost(
    hostId: string,
    beforeSequence: number | undefined,
    limit: number,
  ): Promise<EventRecord[]> {
    const where = {
      hostId,
      ...(beforeSequence === undefined ? {} : { sequence: { $lt: beforeSequence } }),
    };
    return this.#database.read((em) =>
      readRows(em, EventEntity, { where, orderBy: { sequence: "desc" }, limit }),
    );
  }

  async newest(): Promise<number> {
    return this.#database.read((em) => sequenceAt(em, "desc"));
  }

  async oldest(): Promise<number> {
    return this.#database.read((em) => sequenceAt(em, "asc"));
  }

  async prune(rule: {
    readonly before: number;
    readonly keepAtMost: number;
    readonly batch: number;
  }): Promise<number> {
    return this.#database.transact(async ({ em }) => {
      const newest = await sequenceAt(em, "desc");
      const oldest = await em.find(
        EventEntity,
        { sequence: { $lt: newest } },
        { fields: ["sequence", "recordTime"], orderBy: { sequence: "asc" }, limit: rule.batch },
      );
      // Only from the old end: a reader's cursor is either inside of what is kept, or older than all of it.
      const kept = oldest.findIndex(
        ({ sequence, recordTime }) => recordTime >= rule.before && sequence > newest - rule.keepAtMost,
      );
      const last = oldest[kept === -1 ? oldest.length - 1 : kept - 1];
      return last === undefined ? 0 : em.nativeDelete(EventEntity, { sequence: { $lte: last.sequence } });
    });
  }
}

async function sequenceAt(em: EntityManager, order: "asc" | "desc"): Promise<number> {
  const [row] = await em.find(
    EventEntity,
    {},
    { fields: ["sequence"], orderBy: { sequence: order }, limit: 1 },
  );
  return row?.sequence ?? 0;
}
