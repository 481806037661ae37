import { FleetError } from "../domain/errors.ts";

/**
 * What SQLite says when the file, the disk or the memory under it fails, rather than what was asked of it.
 * https://www.sqlite.org/rescode.html
 */
const failures =
  /^SQLITE_(BUSY|CANTOPEN|CORRUPT|FULL|INTERRUPT|IOERR|LOCKED|NOMEM|NOTADB|PERM|PROTOCOL|READONLY)(_|$)/;

/** SQLite rolls back by itself when a disk fails in the middle; what is seen then is the rollback that came after. */
const rolledBackByItself = "no transaction is active";

/** Whether an error says that the database cannot do its work at present, whatever it is asked. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof FleetError) {
    return error.reason === "STORAGE_UNAVAILABLE";
  }
  return (
    failures.test(codeOf(error)) || (error instanceof Error && error.message.includes(rolledBackByItself))
  );
}

/**
 * The error that leaves this room for one that came from the database: `STORAGE_UNAVAILABLE` where the database
 * cannot do its work, `INTERNAL` where it refused what it was given. Others, such as those of a caller's function
 * inside a transaction, are returned as they are.
 */
export function storageErrorFrom(error: unknown): unknown {
  if (error instanceof FleetError) {
    return error;
  }
  if (isUnavailable(error)) {
    return new FleetError("STORAGE_UNAVAILABLE", "the database cannot be used at present", { cause: error });
  }
  return codeOf(error).startsWith("SQLITE_")
    ? new FleetError("INTERNAL", "the database refused what it was given", { cause: error })
    : error;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
