// The part of better-sqlite3 that is used without an ORM; the package brings no types.
declare module "better-sqlite3" {
  class Statement {
    run(...parameters: unknown[]): { changes: number };
    get(...parameters: unknown[]): unknown;
    all(...parameters: unknown[]): unknown[];
  }
  class Database {
    constructor(path: string, options?: { readonly?: boolean; fileMustExist?: boolean; timeout?: number });
    prepare(sql: string): Statement;
    exec(sql: string): this;
    pragma(sql: string, options?: { simple?: boolean }): unknown;
    close(): this;
  }
  export = Database;
}
