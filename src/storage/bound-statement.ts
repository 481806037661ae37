import type { EntityManager, Kysely } from "@mikro-orm/sqlite";
import type { FleetTables } from "./fleet-tables.ts";
import type { PreparedStatement, PreparingDatabase } from "./statement-cache.ts";

/** A query of Kysely, of which only the text is taken. */
interface Query<Row> {
  compile(): { readonly sql: string };
  execute(): Promise<Row[]>;
}

/**
 * A statement of bound parameters whose text Kysely makes once, so that it knows no dialect. It is for what is done for each agent of a fleet
 * that comes back: MikroORM writes the values into the text, so that the database prepares each anew, and that was half of the work.
 */
export class BoundStatement<Row> {
  readonly #query: (kysely: Kysely<FleetTables>) => Query<Row>;
  #sql: string | undefined;

  /** `query` is called once; the values in it are only placeholders. */
  constructor(query: (kysely: Kysely<FleetTables>) => Query<Row>) {
    this.#query = query;
  }

  /** Prepares it for the only connection of all, which must be in the transaction of `em`, or held by whoever calls. */
  async prepare(em: EntityManager): Promise<PreparedStatement<Row>> {
    const database = (await em.getConnection().getNativeClient()) as PreparingDatabase;
    this.#sql ??= this.#query(em.getKysely<FleetTables>()).compile().sql;
    return database.prepare<Row>(this.#sql);
  }
}
