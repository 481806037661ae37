import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { tarMembers } from "../../../src/agent/engine/simulated-tar.ts";
import { archive, member } from "../../support/archives.ts";

const run = promisify(execFile);

describe("archives of the simulated engine", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-tar-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("O15 are what tar reads, and what tar writes is read", async () => {
    const long = "n".repeat(150);
    const members = [
      member("box/", "", { kind: "folder", mode: 0o755 }),
      member("box/file", "text", { mode: 0o600 }),
      member(`box/${long}`, "long"),
      member("box/link", "", { kind: "link", mode: 0o777, target: "file" }),
    ];
    await writeFile(join(folder, "ours.tar"), archive(...members));
    await run("tar", ["-C", folder, "-xf", join(folder, "ours.tar")]);
    assert.equal(await readFile(join(folder, "box/file"), "utf8"), "text");
    assert.equal((await stat(join(folder, "box/file"))).mode, 0o100_600);
    assert.equal(await readFile(join(folder, "box", long), "utf8"), "long");
    assert.equal(await readlink(join(folder, "box/link")), "file");
    for (const format of ["gnu", "pax", "ustar"]) {
      const names = format === "ustar" ? ["box/file", "box/link"] : ["box"];
      const options = ["--sort=name", "--owner=7", "--group=8", "-C", folder, `--format=${format}`];
      await run("tar", [...options, "-cf", join(folder, "theirs.tar"), ...names]);
      const read = tarMembers(await readFile(join(folder, "theirs.tar")));
      const file = read.find(({ name }) => name === "box/file");
      assert.deepEqual(
        [file?.uid, file?.gid, file?.mode, Buffer.from(file?.data ?? []).toString()],
        [7, 8, 0o600, "text"],
      );
      assert.equal(read.find(({ name }) => name === "box/link")?.target, "file");
      if (format !== "ustar") assert.ok(read.some(({ name }) => name === `box/${long}`));
    }
  });
});
