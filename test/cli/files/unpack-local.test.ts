import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TarMember } from "../../../src/agent/engine/simulated-tar.ts";
import { unpackLocal } from "../../../src/cli/files/unpack-local.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { archive, inPieces, member } from "../../support/archives.ts";

const refused = (unpacking: Promise<void>) =>
  assert.rejects(unpacking, (error) => error instanceof FleetError && error.reason === "INVALID_RESULT");

const folder = (name: string) => member(name, "", { kind: "folder", mode: 0o755 });
const link = (name: string, to: string) => member(name, "", { kind: "link", mode: 0o777, target: to });

describe("unpacking what a host sends", () => {
  let root: string;
  let target: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "fairlead-unpack-"));
    target = join(root, "target");
    await mkdir(target);
    await writeFile(join(root, "outside"), "untouched");
  });
  afterEach(() => rm(root, { recursive: true }));

  const unpack = (from: string, ...members: TarMember[]) =>
    unpackLocal(
      inPieces(archive(...members)),
      { folder: target, from, to: from },
      {
        keepOwners: false,
        signal: neverAborted,
      },
    );

  it("O15 keeps permissions and times, and links wherever they point", async () => {
    await unpack(
      "box",
      folder("box/"),
      member("box/file", "text", { mode: 0o751 }),
      link("box/relative", "file"),
      link("box/absolute", "/etc/hostname"),
    );
    const facts = await stat(join(target, "box/file"));
    assert.deepEqual([facts.mode & 0o7777, facts.mtimeMs], [0o751, 1_700_000_000_000]);
    assert.equal(await readlink(join(target, "box/relative")), "file");
    assert.equal(await readlink(join(target, "box/absolute")), "/etc/hostname");
  });

  it("security: refuses what was not asked for, however it is named, and writes nothing beside it", async () => {
    for (const name of [".bashrc", "../outside", "box/../../outside", "/etc/passwd", "boxer"]) {
      await refused(unpack("box", folder("box/"), member(name, "evil")));
    }
    await refused(unpack(".", member("../outside", "evil")));
    assert.equal(await readFile(join(root, "outside"), "utf8"), "untouched");
    assert.deepEqual(await readdir(root), ["outside", "target"]);
    assert.deepEqual(await readdir(target), ["box"]);
  });

  it("security: writes through no link, neither one of the archive nor one that was there", async () => {
    await unpack("box", folder("box/"), link("box/way", root), member("box/way/outside", "evil")).catch(
      () => undefined,
    );
    assert.equal(await readFile(join(root, "outside"), "utf8"), "untouched");
    await rm(join(target, "box"), { recursive: true });
    await symlink(root, join(target, "box"));
    await unpack("box", member("box/outside", "evil")).catch(() => undefined);
    await unpack("box", link("box/planted", "evil")).catch(() => undefined);
    await refused(unpack("box", folder("box/"), folder("box/new/")));
    assert.equal(await readFile(join(root, "outside"), "utf8"), "untouched");
    assert.deepEqual(await readdir(root), ["outside", "target"]);
  });

  it("security: replaces a link by the file of its name, and not what it points to", async () => {
    await symlink(join(root, "outside"), join(target, "file"));
    await unpack("file", member("file", "new"));
    assert.equal(await readFile(join(target, "file"), "utf8"), "new");
    assert.equal(await readFile(join(root, "outside"), "utf8"), "untouched");
  });

  it("O15 throws what the archive throws", async () => {
    const reason = new FleetError("AGENT_DISCONNECTED", "gone");
    const broken = async function* () {
      yield archive(member("file", Buffer.alloc(100_000))).subarray(0, 50_000);
      throw reason;
    };
    const placement = { folder: target, from: "file", to: "file" };
    await assert.rejects(
      unpackLocal(broken(), placement, { keepOwners: false, signal: neverAborted }),
      reason,
    );
  });
});
