import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "./project.mjs";

const lock = join(root, ".setup.lock");
const mine = `${lock}.${process.pid}`;

/**
 * Runs `work` while no other process on this machine sets up this folder. A lock whose process is gone is taken
 * over. A failure is printed as one line and becomes the exit code.
 */
export async function withSetupLock(work) {
  await acquire();
  try {
    work();
  } catch (error) {
    console.error(error.name === "SetupError" ? `setup: ${error.message}` : error);
    process.exitCode = 1;
  } finally {
    rmSync(lock, { force: true });
  }
}

async function acquire() {
  writeFileSync(mine, `${process.pid}`);
  try {
    for (let waits = 0; !tryLink(); waits += 1) {
      const holder = readHolder();
      if (holder !== undefined && !isAlive(holder)) {
        dropStale(holder);
        continue;
      }
      if (waits === 0) {
        console.log(`setup: waiting for process ${holder ?? "?"}, which sets up this folder`);
      }
      await sleep(200);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

// A link appears with its content, where a created file is empty for a moment.
function tryLink() {
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") {
      return false;
    }
    throw error;
  }
}

function readHolder() {
  try {
    return Number(readFileSync(lock, "utf8"));
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

// Two processes may find the same stale lock; the slower one must not remove the lock that the faster one took.
function dropStale(holder) {
  const aside = `${mine}.stale`;
  try {
    renameSync(lock, aside);
    if (Number(readFileSync(aside, "utf8")) !== holder) {
      linkSync(aside, lock);
    }
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "EEXIST") {
      throw error;
    }
  } finally {
    rmSync(aside, { force: true });
  }
}
