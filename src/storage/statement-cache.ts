/** What a database of better-sqlite3 has that matters here. */
export interface PreparingDatabase {
  prepare<Row = unknown>(sql: string): PreparedStatement<Row>;
}

/** A statement that can be executed again and again. */
export interface PreparedStatement<Row = unknown> {
  /** Executes it with these parameters, in their order, and tells how many rows it changed. Throws what SQLite throws. */
  run(parameters: readonly unknown[]): {
    readonly changes: number;
    readonly lastInsertRowid: number | bigint;
  };
  /** Executes it likewise, and gives the first row that it returns. */
  get(parameters: readonly unknown[]): Row | undefined;
}

/** Enough for every statement that the repositories make, in all their numbers of rows. */
const maxStatements = 256;

/**
 * Lets a database prepare each statement once. Kysely prepares anew for every execution, which took 7 % of the time of a storm of
 * commands, most of it for statements of 64 rows. Nothing here iterates over a statement's rows while it is used again.
 */
export function cacheStatements(database: PreparingDatabase): void {
  const prepare = database.prepare.bind(database);
  const statements = new Map<string, PreparedStatement<never>>();
  database.prepare = (sql) => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = prepare<never>(sql);
    // The oldest goes first: what is used all the time is soon back.
    const [oldest] = statements.keys();
    if (statements.size >= maxStatements && oldest !== undefined) statements.delete(oldest);
    statements.set(sql, statement);
    return statement;
  };
}
