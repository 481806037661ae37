import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { Migrator } from "@mikro-orm/migrations";
import { MikroORM } from "@mikro-orm/sqlite";
import { FleetError } from "../domain/errors.ts";
import { AgentEntity } from "./entities/agent.ts";
import { ApiKeyEntity } from "./entities/api-key.ts";
import { CommandEntity } from "./entities/command.ts";
import { EngineBanEntity } from "./entities/engine-ban.ts";
import { EventEntity } from "./entities/event.ts";
import { HostEntity } from "./entities/host.ts";
import { RegistrationTokenEntity } from "./entities/registration-token.ts";
import { WriteProbeEntity } from "./entities/write-probe.ts";
import { cacheStatements, type PreparingDatabase } from "./statement-cache.ts";
import { busyTimeoutMs } from "./write-ahead-log.ts";
import { Migration0001FirstSchema } from "./migrations/migration-0001-first-schema.ts";

/** Every migration, oldest first. A name that was once released stays, because databases remember it. */
const migrationsList = [{ name: "0001-first-schema", class: Migration0001FirstSchema }];

/** Size of the write-ahead log, in pages of 4 KiB, at which it is copied to the main file. */
const checkpointPages = 8_192;
const cacheKib = 65_536;

/**
 * Opens the database file and brings its schema up to date. File and folder are made when missing, for their owner
 * alone. Fails with a `FleetError` `STORAGE_UNAVAILABLE` when the file cannot be used or was written by a newer
 * version; such a file is left as it is.
 */
export async function openOrm(path: string): Promise<MikroORM> {
  let orm: MikroORM | undefined;
  try {
    makeFile(path);
    orm = await initialise(path);
    await migrate(orm);
    return orm;
  } catch (error) {
    await orm?.close(true);
    if (error instanceof FleetError) {
      throw error;
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new FleetError("STORAGE_UNAVAILABLE", `the database ${path} cannot be opened: ${why}`, {
      cause: error,
    });
  }
}

function makeFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, "a", 0o600));
  // SQLite gives its side files the mode of this one.
  chmodSync(path, 0o600);
}

async function initialise(path: string): Promise<MikroORM> {
  const orm = await MikroORM.init({
    dbName: path,
    entities: [
      AgentEntity,
      ApiKeyEntity,
      CommandEntity,
      EngineBanEntity,
      EventEntity,
      HostEntity,
      RegistrationTokenEntity,
      WriteProbeEntity,
    ],
    extensions: [Migrator],
    driverOptions: { timeout: busyTimeoutMs },
    migrations: { migrationsList, snapshot: false, silent: true },
    forceUndefined: true,
    // The journal of queries would hold what agents report; errors travel as errors.
    debug: false,
    logger: () => undefined,
  });
  const connection = orm.em.getConnection();
  await orm.connect();
  cacheStatements((await connection.getNativeClient()) as PreparingDatabase);
  await connection.execute("pragma journal_mode = wal");
  await connection.execute("pragma synchronous = full");
  await connection.execute("pragma foreign_keys = on");
  // What is deleted is overwritten, with the pages that only an overlong value had ("fast" leaves those). Measured to cost commands nothing.
  await connection.execute("pragma secure_delete = on");
  // Pages that many commits touch are copied to the main file less often: measured to save a quarter of the time.
  await connection.execute(`pragma wal_autocheckpoint = ${checkpointPages}`);
  await connection.execute(`pragma cache_size = -${cacheKib}`);
  return orm;
}

async function migrate(orm: MikroORM): Promise<void> {
  const known = new Set(migrationsList.map(({ name }) => name));
  const unknown = (await orm.migrator.getExecuted()).filter(({ name }) => !known.has(name));
  if (unknown.length > 0) {
    throw new FleetError(
      "STORAGE_UNAVAILABLE",
      "the database was written by a newer version of Fairlead: use that version, or another data folder",
      { metadata: { migrations: unknown.map(({ name }) => name).join(",") } },
    );
  }
  await orm.migrator.up();
}
