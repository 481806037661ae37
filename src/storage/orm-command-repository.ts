import type { EntityManager } from "@mikro-orm/sqlite";
import type { Database } from "./database.ts";
import { CommandEntity, type CommandRow } from "./entities/command.ts";
import { canBeStored } from "./lookup.ts";
import { commandFromRow } from "./record-from-row.ts";
import type { CommandRecord } from "./records.ts";
import { RowWriter } from "./row-writer.ts";
import type {
  CommandPosition,
  CommandPruning,
  CommandQuery,
  CommandRepository,
  ForgottenOutcomes,
  OutcomeForgetting,
  PrunedCommands,
} from "./command-repository.ts";

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
    "containerName",
    "caller",
    "callerKeyId",
    "callerAddress",
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

  async ofAgent(agentId: string, ids: readonly string[]): Promise<string[]> {
    const storable = ids.filter((id) => canBeStored(id));
    if (storable.length === 0 || !canBeStored(agentId)) {
      return [];
    }
    const rows = await this.#database.read((em) =>
      em.find(CommandEntity, { id: { $in: storable }, agentId }, { fields: ["id"] }),
    );
    return rows.map(({ id }) => id);
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
    const {
      hostId,
      hostIds,
      container,
      states,
      reasons,
      caller,
      createdSince,
      createdBefore,
      beforeId,
      limit,
    } = query;
    if (!canBeStored(hostId, container, caller, beforeId, ...(reasons ?? []), ...(hostIds ?? []))) {
      return [];
    }
    const created = {
      ...(createdSince === undefined ? {} : { $gte: createdSince }),
      ...(createdBefore === undefined ? {} : { $lt: createdBefore }),
    };
    const where = {
      ...(hostId === undefined ? {} : { hostId }),
      ...(hostIds === undefined ? {} : { $and: [{ hostId: { $in: [...hostIds] } }] }),
      ...(container === undefined ? {} : { $or: [{ container }, { containerName: container }] }),
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

  async countEnded(): Promise<number> {
    return this.#database.read((em) => em.count(CommandEntity, { endTime: { $ne: null } }));
  }

  async forgetOutcomes({
    operations,
    endedBefore,
    after,
    batch,
  }: OutcomeForgetting): Promise<ForgottenOutcomes> {
    return this.#database.transact(async ({ em }) => {
      const oldest = await endedAfter(em, { after, batch });
      const old = oldest.filter(({ endTime }) => endTime < endedBefore);
      const ids = old.filter(({ operation }) => operations.includes(operation)).map(({ id }) => id);
      if (ids.length > 0) {
        await em.nativeUpdate(CommandEntity, { id: { $in: ids } }, { outcome: new Uint8Array(0) });
      }
      return { last: positionOf(old.at(-1)) ?? after, done: old.length < batch };
    });
  }

  async prune(rule: CommandPruning): Promise<PrunedCommands> {
    return this.#database.transact(async ({ em }) => {
      const oldest = await endedAfter(em, rule);
      const { ids, done } = condemned(oldest, rule);
      const deleted = ids.length === 0 ? 0 : await em.nativeDelete(CommandEntity, { id: { $in: ids } });
      return { deleted, last: done ? undefined : positionOf(oldest.at(-1)) };
    });
  }
}

interface EndedCommand extends CommandPosition {
  readonly requestId: string;
  readonly createTime: number;
  readonly operation: string;
}

/** The index on the end's time answers it: no look walks over what another one has seen. */
async function endedAfter(
  em: EntityManager,
  { after, batch }: Pick<CommandPruning, "after" | "batch">,
): Promise<EndedCommand[]> {
  const ended =
    after === undefined
      ? { endTime: { $ne: null } }
      : {
          endTime: { $gte: after.endTime },
          $or: [{ endTime: { $gt: after.endTime } }, { id: { $gt: after.id } }],
        };
  const rows = await em.find(CommandEntity, ended, {
    fields: ["id", "endTime", "requestId", "createTime", "operation"],
    orderBy: { endTime: "asc", id: "asc" },
    limit: batch,
  });
  return rows.map(({ id, endTime, requestId, createTime, operation }) => ({
    id,
    operation,
    endTime: endTime ?? 0,
    requestId,
    createTime,
  }));
}

function positionOf(command: CommandPosition | undefined): CommandPosition | undefined {
  return command === undefined ? undefined : { endTime: command.endTime, id: command.id };
}

/** The ids to delete, and whether nothing behind these commands is to be deleted. */
function condemned(
  oldest: readonly EndedCommand[],
  { endedBefore, excess, keysSince, batch }: CommandPruning,
): { readonly ids: string[]; readonly done: boolean } {
  const ids: string[] = [];
  for (const { id, endTime, requestId, createTime } of oldest) {
    if (endTime >= endedBefore && ids.length >= excess) {
      return { ids, done: true };
    }
    if (requestId === "" || createTime < keysSince) {
      ids.push(id);
    }
  }
  return { ids, done: oldest.length < batch };
}
