import type { EntityManager } from "@mikro-orm/sqlite";
import type { ApiKeyRepository } from "./api-key-repository.ts";
import type { Database } from "./database.ts";
import { ApiKeyEntity, type ApiKeyRow } from "./entities/api-key.ts";
import { canBeStored, createdBefore, type CreationPlace, newestFirst } from "./lookup.ts";
import { apiKeyFromRow } from "./record-from-row.ts";
import type { ApiKeyRecord, NewEvent } from "./records.ts";
import { RowWriter } from "./row-writer.ts";

const keyRows = new RowWriter<ApiKeyRecord, ApiKeyRow>({
  entity: ApiKeyEntity,
  properties: [
    "id",
    "secretHash",
    "name",
    "description",
    "role",
    "hostSelector",
    "createdBy",
    "createTime",
    "expireTime",
    "lastUseTime",
    "revokeTime",
  ],
});

/** Ends the transaction of a key whose name is in use, so that nothing of it remains. */
class NameInUse extends Error {
  override readonly name = "NameInUse";
}

/** The `ApiKeyRepository` of a database. */
export class OrmApiKeyRepository implements ApiKeyRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create(key: ApiKeyRecord, events: readonly NewEvent[]): Promise<boolean> {
    try {
      await this.#database.transact(async ({ em, insertEvents }) => {
        // Written first, which takes the lock: of two that want one name the second sees the first.
        await keyRows.write(em, [key]);
        if ((await em.count(ApiKeyEntity, { name: key.name, revokeTime: null })) > 1) {
          throw new NameInUse();
        }
        await insertEvents(events);
      });
      return true;
    } catch (error) {
      if (error instanceof NameInUse) {
        return false;
      }
      throw error;
    }
  }

  async get(id: string): Promise<ApiKeyRecord | undefined> {
    if (!canBeStored(id)) {
      return undefined;
    }
    const row = await this.#database.read((em) => em.findOne(ApiKeyEntity, { id }));
    return row === null ? undefined : apiKeyFromRow(row);
  }

  async list(before: CreationPlace | undefined, limit: number): Promise<ApiKeyRecord[]> {
    if (!canBeStored(before?.id)) {
      return [];
    }
    const rows = await this.#database.read((em) =>
      em.find(ApiKeyEntity, createdBefore(before), { orderBy: newestFirst, limit }),
    );
    return rows.map(apiKeyFromRow);
  }

  async revoke(
    idOrName: string,
    now: number,
    events: (key: ApiKeyRecord) => readonly NewEvent[],
  ): Promise<ApiKeyRecord | undefined> {
    if (!canBeStored(idOrName)) {
      return undefined;
    }
    return this.#database.transact(async ({ em, insertEvents }) => {
      const id = await idOf(em, idOrName);
      const revoked = await em.nativeUpdate(ApiKeyEntity, { id, revokeTime: null }, { revokeTime: now });
      // It was looked at before it was changed.
      const row = await em.findOne(ApiKeyEntity, { id }, { refresh: true });
      if (row === null) {
        return undefined;
      }
      const key = apiKeyFromRow(row);
      if (revoked > 0) {
        await insertEvents(events(key));
      }
      return key;
    });
  }

  async hasAdmin(now: number): Promise<boolean> {
    const admins = await this.#database.read((em) =>
      em.find(ApiKeyEntity, {
        role: "admin",
        revokeTime: null,
        $or: [{ expireTime: null }, { expireTime: { $gt: now } }],
      }),
    );
    return admins.some(({ hostSelector }) => hostSelector.length === 0);
  }

  async noteUses(uses: readonly { readonly id: string; readonly time: number }[]): Promise<void> {
    await this.#database.transact(async ({ em }) => {
      for (const { id, time } of uses) {
        await em.nativeUpdate(ApiKeyEntity, { id }, { lastUseTime: time });
      }
    });
  }
}

async function idOf(em: EntityManager, idOrName: string): Promise<string> {
  const live = await em.findOne(ApiKeyEntity, { name: idOrName, revokeTime: null });
  const byId = await em.findOne(ApiKeyEntity, { id: idOrName });
  return (byId ?? live)?.id ?? idOrName;
}
