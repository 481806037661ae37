import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockFolder } from "../../src/disk/folder-lock.ts";

const module = new URL("../../src/disk/folder-lock.ts", import.meta.url).href;
const inUse = { reason: "STORAGE_UNAVAILABLE", message: /is in use by another control plane.*--data/ };

describe("the lock of a data folder", function () {
  this.timeout(20_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-lock-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A process that takes the folder and stays. */
  async function holder() {
    const program = `import { lockFolder } from ${JSON.stringify(module)};
      lockFolder(process.argv[1], "control plane"); console.log("held"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    return child;
  }

  it("is for one at a time, and free again after its release, which may be repeated", () => {
    const data = join(folder, "data");
    const first = lockFolder(data, "control plane");
    assert.throws(() => lockFolder(data, "control plane"), inUse);
    first.release();
    first.release();
    lockFolder(data, "control plane").release();
    assert.equal(statSync(data).mode & 0o777, 0o700);
    assert.equal(statSync(join(data, "fairlead.lock")).mode & 0o777, 0o600);
  });

  it("tells who has it, and is another one for each kind of holder", () => {
    const plane = lockFolder(folder, "control plane");
    const agent = lockFolder(folder, "agent");
    assert.throws(() => lockFolder(folder, "agent"), { message: /is in use by another agent;/ });
    plane.release();
    agent.release();
  });

  it("holds between processes, and falls with the process that has it, however that ends", async () => {
    const child = await holder();
    assert.throws(() => lockFolder(folder, "control plane"), inUse);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name !== "fairlead.lock"),
      [],
    );
    child.kill("SIGKILL");
    await once(child, "exit");
    lockFolder(folder, "control plane").release();
  });

  it("says when the folder cannot be used", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    assert.throws(() => lockFolder(file, "control plane"), {
      reason: "STORAGE_UNAVAILABLE",
      message: /^the data folder .* cannot be used: (EEXIST|ENOTDIR)/,
    });
  });
});
