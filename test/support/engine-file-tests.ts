import assert from "node:assert/strict";
import { FleetError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { archive, contentsOf, inPieces, member } from "./archives.ts";
import { type EngineKit, refused, settled } from "./engine-kit.ts";

const strict = { copyOwners: false, allowOverwriteKind: false };

/** What `Engine` promises of files. */
export function fileTests(kit: EngineKit): void {
  const put = (id: string, path: string, bytes: Uint8Array, options = strict) =>
    kit.engine.putArchive(id, path, inPieces(bytes), options, neverAborted);

  const get = async (id: string, path: string) => {
    const { facts, chunks } = await kit.engine.getArchive(id, path, neverAborted);
    return { facts, bytes: Buffer.concat(await Array.fromAsync(chunks)) };
  };

  it("O15 what was copied in comes out again: files, folders, links, long names, permissions and times", async () => {
    const { id } = await kit.make();
    const long = `${"long-".repeat(30)}name`;
    const big = Buffer.alloc(300_000, "0123456789");
    await put(
      id,
      "/etc",
      archive(
        member("box/", "", { kind: "folder", mode: 0o750 }),
        member("box/big", big, { mode: 0o640 }),
        member(`box/${long}`, "long"),
        member("box/link", "", { kind: "link", mode: 0o777, target: "big" }),
      ),
    );
    const { facts, bytes } = await get(id, "/etc/box");
    assert.deepEqual([facts.name, facts.mode], ["box", 0o040_750]);
    const contents = contentsOf(bytes);
    assert.deepEqual(Object.keys(contents).toSorted(), ["box/", "box/big", "box/link", `box/${long}`]);
    assert.ok(contents["box/big"] === big.toString());
    assert.deepEqual(Object.keys(contentsOf((await get(id, "/etc/box/.")).bytes)).toSorted(), [
      "./",
      "./big",
      "./link",
      `./${long}`,
    ]);
    const file = await kit.engine.statPath(id, "/etc/box/big", neverAborted);
    assert.deepEqual(
      [file.name, file.size, file.mode, file.modifiedTime?.seconds],
      ["big", 300_000n, 0o100_640, 1_700_000_000n],
    );
    const link = await kit.engine.statPath(id, "/etc/box/link", neverAborted);
    assert.equal((link.mode ?? 0) & 0o170_000, 0o120_000);
    assert.match(link.linkTarget ?? "", /big$/);
  });

  it("O15 a path, a folder and a container that are not there are told apart", async () => {
    const { id } = await kit.make();
    const bytes = archive(member("file", "text"));
    await refused(kit.engine.statPath(id, "/nowhere", neverAborted), "PATH_NOT_FOUND", "/nowhere");
    await refused(get(id, "/nowhere"), "PATH_NOT_FOUND", "/nowhere");
    await refused(put(id, "/nowhere", bytes), "PATH_NOT_FOUND", "/nowhere");
    await kit.remove(id);
    await refused(kit.engine.statPath(id, "/etc", neverAborted), "CONTAINER_NOT_FOUND", id);
    await refused(get(id, "/etc"), "CONTAINER_NOT_FOUND", id);
    await refused(put(id, "/etc", bytes), "CONTAINER_NOT_FOUND", id);
  });

  it("O15 a folder takes the place of a file only where that is allowed", async () => {
    const { id } = await kit.make();
    await put(id, "/etc", archive(member("thing", "a file")));
    const folder = archive(member("thing/", "", { kind: "folder", mode: 0o755 }), member("thing/in", "x"));
    await assert.rejects(put(id, "/etc", folder), FleetError);
    assert.equal(
      ((await kit.engine.statPath(id, "/etc/thing", neverAborted)).mode ?? 0) & 0o170_000,
      0o100_000,
    );
    await put(id, "/etc", folder, { ...strict, allowOverwriteKind: true });
    assert.equal(contentsOf((await get(id, "/etc/thing/in")).bytes)["in"], "x");
  });

  it("O15 an archive that breaks off is no archive, and says why", async () => {
    const { id } = await kit.make();
    const bytes = archive(member("whole", "1"), member("half", Buffer.alloc(100_000, 1)));
    const reason = new FleetError("CANCELLED", "the caller went away");
    const broken = async function* () {
      yield bytes.subarray(0, 50_000);
      throw reason;
    };
    await assert.rejects(kit.engine.putArchive(id, "/etc", broken(), strict, neverAborted), reason);
    const size = async () =>
      kit.engine.statPath(id, "/etc/half", neverAborted).then(
        (facts) => facts.size ?? 0n,
        () => 0n,
      );
    assert.ok((await size()) < 100_000n);
  });

  it("D03 an abort ends a copy in either direction, and a reader that leaves leaves nothing open", async () => {
    const { id } = await kit.make();
    await put(id, "/etc", archive(member("big", Buffer.alloc(3_000_000, 1))));
    const reading = await kit.engine.getArchive(id, "/etc/big", neverAborted);
    for await (const chunk of reading.chunks) {
      assert.ok(chunk.length > 0);
      break;
    }
    const abort = new AbortController();
    const reason = new Error("enough");
    const { chunks } = await kit.engine.getArchive(id, "/etc/big", abort.signal);
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    abort.abort(reason);
    await assert.rejects(
      (async () => {
        while ((await iterator.next()).done !== true);
      })(),
      reason,
    );
    const writing = new AbortController();
    const endless = async function* () {
      yield archive(member("first", "1"));
      setTimeout(() => writing.abort(reason), 50);
      await new Promise((_, reject) => writing.signal.addEventListener("abort", () => reject(reason)));
    };
    await assert.rejects(kit.engine.putArchive(id, "/etc", endless(), strict, writing.signal), reason);
    await settled(async () => kit.harness.openStreams() === 0);
  });
}
