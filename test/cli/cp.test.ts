import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { FleetError } from "../../src/domain/errors.ts";
import type { CopyFromRequest, CopyToStart } from "../../src/gen/fairlead/container/v1/file_service_pb.js";
import { PathFactsSchema } from "../../src/gen/fairlead/container/v1/path_facts_pb.js";
import { archive, contentsOf, inPieces, member } from "../support/archives.ts";
import { type Answers, closeApis, fairlead, fairleadAlone } from "./command-line.ts";

const folderMode = 0o040_755;
const fileMode = 0o100_644;

const sending = (bytes: Uint8Array, asked: CopyFromRequest[] = [], mode = fileMode): Answers => ({
  files: {
    async *copyFrom(request) {
      asked.push(request);
      yield { message: { case: "facts", value: { name: "file", mode, size: 4n } } };
      for await (const value of inPieces(bytes)) yield { message: { case: "archive", value } };
    },
  },
});

const taking = (
  taken: { start?: CopyToStart; bytes?: Buffer },
  modes: Record<string, number> = {},
): Answers => ({
  files: {
    statPath({ path }) {
      const mode = modes[path];
      if (mode === undefined) throw new FleetError("PATH_NOT_FOUND", "it is not there");
      return { facts: create(PathFactsSchema, { name: "x", mode }) };
    },
    async copyTo(requests) {
      const pieces: Uint8Array[] = [];
      for await (const { message } of requests) {
        if (message.case === "start") taken.start = message.value;
        if (message.case === "archive") pieces.push(message.value);
      }
      taken.bytes = Buffer.concat(pieces);
      return { archiveBytes: BigInt(taken.bytes.length) };
    },
  },
});

describe("cp on the command line", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-cp-"));
  });
  afterEach(async () => {
    await closeApis();
    await rm(folder, { recursive: true });
  });

  it("O15 copies out of HOST/NAME:PATH, and says so to a person only", async () => {
    const asked: CopyFromRequest[] = [];
    const answers = sending(archive(member("file", "text")), asked);
    const { code, stdout, stderr } = await fairlead(answers, ["cp", "web-1/db:/etc/file", folder]);
    assert.deepEqual([code, stdout, stderr], [0, "", ""]);
    assert.deepEqual([asked[0]?.host, asked[0]?.container, asked[0]?.path], ["web-1", "db", "/etc/file"]);
    assert.equal(await readFile(join(folder, "file"), "utf8"), "text");
  });

  it("O15 copies a file in under the name that the target says, and sends nothing that was not named", async () => {
    const taken: { start?: CopyToStart; bytes?: Buffer } = {};
    await writeFile(join(folder, "one"), "text");
    await writeFile(join(folder, "two"), "other");
    const { code, stderr } = await fairlead(taking(taken), [
      "cp",
      "-a",
      join(folder, "one"),
      "web:/etc/renamed",
    ]);
    assert.equal(code, 0, stderr);
    assert.deepEqual([taken.start?.path, taken.start?.copyOwners], ["/etc", true]);
    assert.deepEqual(contentsOf(taken.bytes ?? Buffer.alloc(0)), { renamed: "text" });
    await fairlead(taking(taken, { "/etc": folderMode }), ["cp", join(folder, "two"), "web:/etc"]);
    assert.deepEqual(contentsOf(taken.bytes ?? Buffer.alloc(0)), { two: "other" });
  });

  it("O15 security: a host that sends something else than was asked for is refused", async () => {
    const answers = sending(archive(member(".bashrc", "evil")));
    const { code, stderr } = await fairlead(answers, ["cp", "web:/etc/file", folder]);
    assert.equal(code, 1);
    assert.match(stderr, /"\.bashrc", which was not asked for \(INVALID_RESULT\)/);
    assert.deepEqual(await readdir(folder), []);
  });

  it("O15 a copy that breaks off fails", async () => {
    const answers: Answers = {
      files: {
        async *copyFrom() {
          yield { message: { case: "facts", value: { name: "file", mode: fileMode } } };
          yield { message: { case: "archive", value: archive(member("file", "text")).subarray(0, 512) } };
          throw new FleetError("AGENT_DISCONNECTED", "it went away");
        },
      },
    };
    const { code, stderr } = await fairlead(answers, ["cp", "web:/etc/file", folder]);
    assert.equal(code, 1);
    assert.match(stderr, /it went away \(AGENT_DISCONNECTED\)/);
  });

  it("O15 shows a person how far it is, and at last how much it was", async () => {
    const lines: string[] = [];
    const stderr = { write: (text: string | Uint8Array) => void lines.push(String(text)), isTTY: true };
    const bytes = archive(member("file", Buffer.alloc(200_000)));
    const surroundings = { isErrorTTY: true, stderr };
    await fairlead(sending(bytes), ["cp", "web:/etc/file", folder], surroundings);
    assert.match(lines.join(""), /\/etc\/file {2}\[/);
    assert.equal(lines.at(-1), `Copied 202kB to ${folder}.\n`);
    lines.length = 0;
    await fairlead(sending(bytes), ["cp", "-q", "web:/etc/file", folder], surroundings);
    assert.deepEqual(lines, []);
  });

  it("O15 exactly one side is in a container, and a path is needed", async () => {
    for (const words of [
      ["here", "there"],
      ["a:/x", "b:/y"],
      ["web:", "."],
      ["-", "-"],
    ]) {
      assert.equal((await fairleadAlone(["cp", ...words])).code, 2, words.join(" "));
    }
    const { stderr } = await fairleadAlone(["cp", "./a:b", "./c"]);
    assert.match(stderr, /Exactly one/);
  });
});
