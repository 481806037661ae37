import type { Database } from "./database.ts";
import { RegistrationTokenEntity, type RegistrationTokenRow } from "./entities/registration-token.ts";
import { canBeStored, createdBefore, type CreationPlace, newestFirst } from "./lookup.ts";
import { tokenFromRow } from "./record-from-row.ts";
import type { NewEvent, TokenRecord } from "./records.ts";
import { RowWriter } from "./row-writer.ts";
import type { TokenRepository } from "./token-repository.ts";

const tokenRows = new RowWriter<TokenRecord, RegistrationTokenRow>({
  entity: RegistrationTokenEntity,
  properties: [
    "id",
    "secretHash",
    "description",
    "createdBy",
    "createTime",
    "expireTime",
    "maxUses",
    "useCount",
    "revokeTime",
    "hostId",
  ],
});

/** The `TokenRepository` of a database. */
export class OrmTokenRepository implements TokenRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create(token: TokenRecord, events: readonly NewEvent[]): Promise<void> {
    await this.#database.transact(async ({ em, insertEvents }) => {
      await tokenRows.write(em, [token]);
      await insertEvents(events);
    });
  }

  async list(before: CreationPlace | undefined, limit: number): Promise<TokenRecord[]> {
    if (!canBeStored(before?.id)) {
      return [];
    }
    const rows = await this.#database.read((em) =>
      em.find(RegistrationTokenEntity, createdBefore(before), { orderBy: newestFirst, limit }),
    );
    return rows.map(tokenFromRow);
  }

  async revoke(
    id: string,
    now: number,
    events: (token: TokenRecord) => readonly NewEvent[],
  ): Promise<TokenRecord | undefined> {
    if (!canBeStored(id)) {
      return undefined;
    }
    return this.#database.transact(async ({ em, insertEvents }) => {
      const live = { id, revokeTime: null };
      const revoked = await em.nativeUpdate(RegistrationTokenEntity, live, { revokeTime: now });
      const row = await em.findOne(RegistrationTokenEntity, { id });
      if (row === null) {
        return undefined;
      }
      const token = tokenFromRow(row);
      if (revoked > 0) {
        await insertEvents(events(token));
      }
      return token;
    });
  }

  async prune(rule: { readonly endedBefore: number; readonly batch: number }): Promise<number> {
    const ended = {
      $or: [{ expireTime: { $lt: rule.endedBefore } }, { revokeTime: { $lt: rule.endedBefore } }],
    };
    return this.#database.transact(async ({ em }) => {
      const oldest = await em.find(RegistrationTokenEntity, ended, {
        fields: ["id"],
        orderBy: { createTime: "asc", id: "asc" },
        limit: rule.batch,
      });
      const ids = oldest.map(({ id }) => id);
      return ids.length === 0 ? 0 : em.nativeDelete(RegistrationTokenEntity, { id: { $in: ids } });
    });
  }

  async findByHash(secretHash: Uint8Array): Promise<TokenRecord | undefined> {
    const row = await this.#database.read((em) => em.findOne(RegistrationTokenEntity, { secretHash }));
    return row === null ? undefined : tokenFromRow(row);
  }
}
