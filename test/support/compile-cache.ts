import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "fairlead-compiled-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

/**
 * For the environment of the processes that tests start: what one of them has compiled the others need not, and start with half of the work. It is
 * written when a process exits, or says `flushCompileCache`. The folder goes with this process.
 */
export const sharedCompileCache = { NODE_COMPILE_CACHE: folder } as const;
