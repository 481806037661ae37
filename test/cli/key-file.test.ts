import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEnvironment } from "../../src/cli/environment.ts";
import { findCredentials } from "../../src/cli/key-file.ts";
import { closeApis, fairleadAlone, serveAnswers } from "./command-line.ts";

const server = "https://127.0.0.1:7080";
const content = { server, apiKey: "flk_file", ca: "PEM" };

describe("key files", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-keys-"));
  });
  afterEach(async () => {
    rmSync(folder, { recursive: true });
    await closeApis();
  });

  const write = (name: string, text: string = JSON.stringify(content)) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const find = (env: Record<string, string>, options: { server?: string; keyFile?: string } = {}) =>
    findCredentials(
      options,
      createEnvironment({
        env: { FAIRLEAD_DATA: join(folder, "none"), ...env },
        stdout: { write: () => undefined },
        stderr: { write: () => undefined },
        isTTY: false,
        isErrorTTY: false,
        columns: undefined,
        signal: new AbortController().signal,
      }),
    );

  it("one in the data folder is found by itself, and its server with it", () => {
    write("admin.key");
    assert.deepEqual(find({ FAIRLEAD_DATA: folder }), content);
    assert.deepEqual(find({}), {});
  });

  it("flags win over variables, and both over the file", () => {
    const path = write("a.key");
    const other = write("b.key", JSON.stringify({ apiKey: "flk_other" }));
    assert.deepEqual(find({ FAIRLEAD_KEY_FILE: path }), content);
    assert.deepEqual(find({ FAIRLEAD_KEY_FILE: path }, { keyFile: other }), { apiKey: "flk_other" });
    assert.equal(find({ FAIRLEAD_KEY_FILE: path, FAIRLEAD_API_KEY: "flk_env" }).apiKey, "flk_env");
    assert.equal(find({ FAIRLEAD_KEY_FILE: path, FAIRLEAD_SERVER: "x:1" }).server, "x:1");
    assert.equal(find({ FAIRLEAD_SERVER: "x:1" }, { server: "y:1" }).server, "y:1");
    assert.deepEqual(find({ FAIRLEAD_API_KEY: "", FAIRLEAD_SERVER: "", FAIRLEAD_KEY_FILE: "" }), {});
  });

  it("the key of one that nobody named goes to its own server only, by whatever name that is called", () => {
    write("admin.key");
    const at = (to: string) => find({ FAIRLEAD_DATA: folder }, { server: to });
    for (const same of [server, "127.0.0.1:7080", "https://localhost:7080/", "[::1]:7080"]) {
      assert.deepEqual(at(same), { ...content, server: same }, same);
    }
    for (const other of [
      "https://127.0.0.1:7081",
      "https://elsewhere.example:7080",
      "localhost.example:7080",
    ]) {
      assert.deepEqual(at(other), { server: other }, other);
    }
    const named = find({}, { server: "https://elsewhere.example", keyFile: join(folder, "admin.key") });
    assert.equal(named.apiKey, "flk_file");
  });

  it("one that was named and cannot be used is an error that does not tell what is in it", () => {
    const broken = write("broken.key", "flk_secret");
    const empty = write("empty.key", "{}");
    for (const keyFile of [broken, empty, join(folder, "missing.key")]) {
      assert.throws(
        () => find({}, { keyFile }),
        (error: Error) => error.message.includes(keyFile) && !/flk_|secret/.test(error.message),
      );
    }
    write("admin.key", "nonsense");
    assert.deepEqual(find({ FAIRLEAD_DATA: folder }), {});
  });

  it("what is found is sent with each call", async () => {
    const seen: (string | null)[] = [];
    const url = await serveAnswers({ hosts: { listHosts: () => ({}) } }, (headers) => {
      seen.push(headers.get("authorization"));
    });
    const path = write("a.key", JSON.stringify({ server: url, apiKey: "flk_file" }));
    const { code, stderr } = await fairleadAlone(["hosts", "--key-file", path]);
    assert.deepEqual([code, stderr, seen], [0, "", ["Bearer flk_file"]]);
  });
});
