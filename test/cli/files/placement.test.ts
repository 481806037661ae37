import assert from "node:assert/strict";
import { type CopyTarget, placedName, placementOf, splitPath } from "../../../src/cli/files/placement.ts";
import { FleetError } from "../../../src/domain/errors.ts";

const folder: CopyTarget = { path: "/to/folder", exists: true, isFolder: true };
const file: CopyTarget = { path: "/to/file", exists: true, isFolder: false };
const nothing: CopyTarget = { path: "/to/new", exists: false, isFolder: false };
const source = (base: string, isFolder: boolean, name = base) => ({ base, name, isFolder });

const parts = (path: string) => Object.values(splitPath(path));

const named = (member: string, from: string, to: string) => placedName(member, { from, to });

describe("where cp puts things", () => {
  it("O15 splits paths as docker does", () => {
    assert.deepEqual(parts("/a/b"), ["/a", "b"]);
    assert.deepEqual(parts("/a/b/"), ["/a", "b"]);
    assert.deepEqual(parts("/a/b/."), ["/a/b", "."]);
    assert.deepEqual(parts("."), [".", "."]);
    assert.deepEqual(parts("/"), ["/", "/"]);
    assert.deepEqual(parts("a/../b//c"), ["b", "c"]);
  });

  it("O15 into a folder that is there under its own name, otherwise as what the target says", () => {
    assert.deepEqual(placementOf(source("x", false), folder), { folder: "/to/folder", from: "x", to: "x" });
    assert.deepEqual(placementOf(source("x", true, "link"), folder), {
      folder: "/to/folder",
      from: "x",
      to: "link",
    });
    assert.deepEqual(placementOf(source("x", false), file), { folder: "/to", from: "x", to: "file" });
    assert.deepEqual(placementOf(source(".", true), nothing), { folder: "/to", from: ".", to: "new" });
    assert.deepEqual(placementOf(source("x", true), { ...nothing, path: "/to/new/" }), {
      folder: "/to",
      from: "x",
      to: "new",
    });
  });

  it("O15 refuses a folder onto a file, and a file into a folder that is not there", () => {
    assert.throws(() => placementOf(source("x", true), file), FleetError);
    assert.throws(() => placementOf(source("x", false), { ...nothing, path: "/to/new/" }), FleetError);
  });

  it("O15 names members by it, and lets through only what belongs to what was asked for", () => {
    assert.equal(named("x/y/", "x", "new"), "new/y");
    assert.equal(named("./x", "x", "new"), "new");
    assert.equal(named("./y", ".", "new"), "new/y");
    assert.equal(named("./", ".", "."), ".");
    assert.equal(named("y", ".", "."), "y");
    assert.equal(named("xy", "x", "new"), undefined);
    assert.equal(named(".bashrc", "x", "x"), undefined);
    assert.equal(named("x/../../.bashrc", "x", "x"), undefined);
    assert.equal(named("/etc/passwd", "x", "x"), undefined);
  });
});
