import type { MikroORM } from "@mikro-orm/sqlite";

/** What a database of better-sqlite3 has that matters for its settings. */
export interface PragmaDatabase {
  pragma(source: string): unknown;
}

/** How long a statement waits for another process that holds the write lock. */
export const busyTimeoutMs = 5_000;

/**
 * Copies the write-ahead log to the main file and empties it, between two transactions. False: another process reads the database, and
 * something is left in the log; nobody waits for it, because everything would stand still until then.
 */
export async function emptyLog({ em }: MikroORM): Promise<boolean> {
  const database = (await em.getConnection().getNativeClient()) as PragmaDatabase;
  // Holds the only connection, so that no transaction is open on it.
  return em
    .getKysely()
    .connection()
    .execute(async () => {
      database.pragma("busy_timeout = 0");
      try {
        const [outcome] = database.pragma("wal_checkpoint(truncate)") as { readonly busy: number }[];
        return outcome?.busy === 0;
      } finally {
        database.pragma(`busy_timeout = ${busyTimeoutMs}`);
      }
    });
}
