import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { promisify } from "node:util";
import type { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import type { Environment } from "../../src/cli/environment.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { contentsOf, inPieces } from "../support/archives.ts";
import { docker, removeContainers, runContainer } from "../support/docker.ts";
import { dockerCommand, requireDockerCommand } from "../support/docker-command.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";
import { Fleet } from "../support/fleet.ts";

const run = promisify(execFile);
const subject = `docker-cp-${process.pid}`;

/** What both sides of a copy have at the beginning. */
async function furnish(root: string): Promise<void> {
  await mkdir(join(root, "folder/deep"), { recursive: true });
  await mkdir(join(root, "other"));
  await writeFile(join(root, "file"), `of ${basename(root)}\n`, { mode: 0o640 });
  await writeFile(join(root, "big"), Buffer.alloc(3_000_000, "0123456789abcdef"), { mode: 0o755 });
  await writeFile(join(root, "folder/one"), "one\n", { mode: 0o600 });
  await writeFile(join(root, `folder/deep/${"long-".repeat(25)}name`), "two\n");
  await symlink("deep", join(root, "folder/within"));
  await symlink("/etc/nowhere", join(root, "folder/absolute"));
  await symlink("folder", join(root, "way"));
  await symlink("file", join(root, "alias"));
  const time = basename(root) === "from" ? 1_700_000_000 : 1_600_000_000;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), time, time);
  }
}

/** Every path below a folder with its kind, permissions, time, owner and content. */
async function treeOf(root: string): Promise<string[]> {
  const lines: string[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode, mtimeMs, uid } = await lstat(path);
    const content = entry.isFile()
      ? createHash("sha256")
          .update(await readFile(path))
          .digest("hex")
          .slice(0, 12)
      : entry.isSymbolicLink()
        ? await readlink(path)
        : "";
    // A link's own time, and a folder's into which something is copied, are of the moment.
    const time = entry.isFile() ? Math.floor(mtimeMs / 1_000) : "";
    const permissions = entry.isSymbolicLink() ? "" : (mode & 0o7777).toString(8);
    lines.push(`${relative(root, path)} ${mode >> 12} ${permissions} ${uid} ${time} ${content}`);
  }
  return lines.toSorted((one, other) => (one < other ? -1 : 1));
}

// [source, target, flags]; "C:" stands for the container.
const out: readonly (readonly [string, string, ...string[]])[] = [
  ["C:/from/file", "here"],
  ["C:/from/file", "here/renamed"],
  ["C:/from/file", "here/file"],
  ["C:/from/big", "here/other/"],
  ["C:/from/big", "here/nothing/"],
  ["C:/from/big", "here/nothing/new"],
  ["C:/from/folder", "here"],
  ["C:/from/folder", "here/new"],
  ["C:/from/folder/", "here/other"],
  ["C:/from/folder/.", "here/other"],
  ["C:/from/folder/.", "here/new"],
  ["C:/from/folder", "here/file"],
  ["C:/from/alias", "here/copied-alias"],
  ["C:/from/alias", "here/copied-alias", "-L"],
  ["C:/from/way", "here/other", "-L"],
  ["C:from/file", "here/other/."],
  ["C:/from/nothing", "here"],
  ["C:/from/file", "here/alias"],
  ["C:/from/folder", "here/way"],
];

const into: readonly (readonly [string, string, ...string[]])[] = [
  ["from/file", "C:/here"],
  ["from/file", "C:/here/renamed"],
  ["from/file", "C:/here/file"],
  ["from/big", "C:/here/other/"],
  ["from/big", "C:/here/nothing/"],
  ["from/big", "C:/here/nothing/new"],
  ["from/folder", "C:/here"],
  ["from/folder", "C:/here/new"],
  ["from/folder/", "C:/here/other"],
  ["from/folder/.", "C:/here/other"],
  ["from/folder/.", "C:/here/new"],
  ["from/folder", "C:/here/file"],
  ["from/alias", "C:/here/copied-alias"],
  ["from/alias", "C:/here/copied-alias", "-L"],
  ["from/way", "C:/here/other", "-L"],
  ["from/way/", "C:/here/other"],
  ["from/nothing", "C:/here"],
  ["from/file", "C:/here/alias"],
  ["from/folder", "C:/here/way"],
  ["from/big", "C:/here", "-a"],
];

const theirs = async (words: readonly string[]) => (await dockerCommand("cp", ...words)).exitCode === 0;

describe("docker: cp beside that of the docker command", function () {
  this.timeout(300_000);
  this.slow(60_000);
  let fleet: Fleet | undefined;
  let engine: DockerEngine | undefined;
  let folder: string;
  let container: string;

  before(async function () {
    await requireDockerCommand(this);
    engine = engineAtSocket();
    fleet = await Fleet.start();
    await fleet.enrol("host", engine);
    folder = await mkdtemp(join(tmpdir(), "fairlead-cp-"));
  });
  beforeEach(async () => {
    container = await runContainer({ subject, start: false });
    await fleet?.untilContainer(container, () => true);
    await rm(join(folder, "from"), { recursive: true, force: true });
    await mkdir(join(folder, "from"));
    await furnish(join(folder, "from"));
    await rm(join(folder, "here"), { recursive: true, force: true });
    await mkdir(join(folder, "here"));
    await furnish(join(folder, "here"));
    for (const name of ["from", "here"]) assert.ok(await theirs([join(folder, name), `${container}:/`]));
  });
  after(async () => {
    await fleet?.[Symbol.asyncDispose]();
    await engine?.close();
    await removeContainers(subject);
    await rm(folder, { recursive: true, force: true });
  });

  const placeOf = (place: string) =>
    place.startsWith("C:")
      ? `${container}:${place.slice(2)}`
      : join(folder, place) + (place.endsWith("/.") ? "/." : "");

  const ours = async (words: readonly string[], more: Partial<Environment> = {}) => {
    const keyFile = fleet?.plane.controlPlane.keyFile ?? "";
    const written: Uint8Array[] = [];
    const stderr: string[] = [];
    const code = await runCli(
      ["cp", "--key-file", keyFile, ...words],
      {
        env: {},
        stdout: { write: (text) => written.push(Buffer.from(text)) },
        stderr: { write: (text) => stderr.push(String(text)) },
        isTTY: false,
        isErrorTTY: false,
        columns: undefined,
        signal: neverAborted,
        clock: systemClock,
        ...more,
      },
      { version: "1.0.0" },
    );
    return { isDone: code === 0, stdout: Buffer.concat(written), stderr: stderr.join("") };
  };

  /** The container's /here, as docker itself tells it. */
  const inside = async () => {
    const copied = join(folder, "inside");
    await rm(copied, { recursive: true, force: true });
    await mkdir(copied);
    const archive = join(folder, "inside.tar");
    await run("sh", ["-c", `docker cp ${container}:/here - >${archive} && tar -C ${copied} -xpf ${archive}`]);
    return treeOf(copied);
  };

  for (const [source, target, ...flags] of out) {
    it(`O15 out: cp ${[...flags, source, target].join(" ")}`, async () => {
      const words = [...flags, placeOf(source), placeOf(target)];
      const here = join(folder, "here");
      const isDone = await theirs(words);
      const expected = await treeOf(here);
      await rm(here, { recursive: true });
      await mkdir(here);
      await furnish(here);
      const result = await ours(words);
      assert.equal(result.isDone, isDone, result.stderr);
      if (isDone) assert.deepEqual(await treeOf(here), expected);
    });
  }

  for (const [source, target, ...flags] of into) {
    it(`O15 in: cp ${[...flags, source, target].join(" ")}`, async () => {
      const words = [...flags, placeOf(source), placeOf(target)];
      const isDone = await theirs(words);
      const expected = await inside();
      const first = container;
      container = await runContainer({ subject, start: false });
      await fleet?.untilContainer(container, () => true);
      await docker.getContainer(first).remove({ force: true });
      assert.ok(await theirs([join(folder, "here"), `${container}:/`]));
      const result = await ours([...flags, placeOf(source), placeOf(target)]);
      assert.equal(result.isDone, isDone, result.stderr);
      if (isDone) assert.deepEqual(await inside(), expected);
    });
  }

  it("O15 - is an archive, out and in", async () => {
    const { isDone, stdout, stderr } = await ours([`host/${container}:/from/folder`, "-"]);
    assert.ok(isDone, stderr);
    const { stdout: same } = await dockerCommand("cp", `${container}:/from/folder`, "-");
    assert.ok(stdout.equals(same), "the archives differ");
    const stdin = { read: () => inPieces(stdout) };
    assert.ok((await ours(["-", `${container}:/here/other`], { stdin })).isDone);
    const { stdout: back } = await ours([`${container}:/here/other/folder/one`, "-"]);
    assert.deepEqual(contentsOf(back), { one: "one\n" });
    assert.ok(!(await ours(["-", `${container}:/here/file`], { stdin })).isDone);
    assert.ok(!(await ours([`${container}:/from/folder`, "-"], { isTTY: true })).isDone);
  });
});
