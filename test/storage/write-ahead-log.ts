import { readFileSync } from "node:fs";

const headerBytes = 32;
const frameHeaderBytes = 24;

/**
 * How many transactions the write-ahead log of a database holds, read from the file itself: a frame that ends a
 * transaction has the size of the database after it. https://www.sqlite.org/fileformat2.html#walformat
 */
export function commitsIn(databasePath: string): number {
  const log = readFileSync(`${databasePath}-wal`);
  if (log.length < headerBytes) {
    return 0;
  }
  const pageBytes = log.readUInt32BE(8);
  const salts = log.subarray(16, 24);
  let commits = 0;
  for (let at = headerBytes; at + frameHeaderBytes <= log.length; at += frameHeaderBytes + pageBytes) {
    // Frames with other salts are left over from before the last checkpoint.
    if (!log.subarray(at + 8, at + 16).equals(salts)) {
      break;
    }
    commits += log.readUInt32BE(at + 4) === 0 ? 0 : 1;
  }
  return commits;
}
