import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PolicyFile } from "../../../../src/agent/execution/policy/policy-file.ts";
import { systemClock } from "../../../../src/resilience/clock.ts";
import { eventually } from "../../../support/control-plane-harness.ts";
import { silentLogger } from "../../../support/silent-logger.ts";

describe("the file of a policy", () => {
  let folder: string;
  let path: string;
  let stopping: AbortController;
  let running: Promise<void> | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-policy-"));
    path = join(folder, "policy.yaml");
    stopping = new AbortController();
  });
  afterEach(async () => {
    stopping.abort();
    await running;
    running = undefined;
    await rm(folder, { recursive: true });
  });

  const open = (required = false) =>
    PolicyFile.open({ path, required, clock: systemClock, logger: silentLogger, pollMs: 5 });

  async function watched(): Promise<PolicyFile> {
    const file = await open();
    running = file.run(stopping.signal);
    return file;
  }

  it("policy: may be missing, unless somebody named it", async () => {
    const file = await open();
    assert.equal(file.report, undefined);
    assert.equal(file.current.default, "allow");
    await assert.rejects(open(true), {
      reason: "INVALID_ARGUMENT",
      message: `host policy ${path} is not there`,
    });
  });

  it("policy: that is broken lets nobody start, and the error says where", async () => {
    await writeFile(path, "default: deny\nread_only: perhaps\n");
    await assert.rejects(open(), {
      reason: "INVALID_ARGUMENT",
      message: `host policy ${path}, line 2: read_only must be true or false`,
    });
    await writeFile(path, `# ${"x".repeat(65_536)}\ndefault: deny\n`);
    await assert.rejects(open(), /has more than 65536 bytes/);
    await writeFile(path, Buffer.from([0x64, 0xff]));
    await assert.rejects(open(), /is not UTF-8/);
    await rm(path);
    await mkdir(path);
    await assert.rejects(open(), /cannot be read \(EISDIR\)/);
    await rm(path, { recursive: true });
  });

  it("policy: that changes is read again, also when it is another file, and its digest is the file's", async () => {
    await writeFile(path, "read_only: true\n");
    const file = await watched();
    assert.deepEqual(file.report, {
      readOnly: true,
      digest: createHash("sha256").update("read_only: true\n").digest("hex"),
      summary: ["read_only: true", "default: allow"],
      problem: "",
    });
    await writeFile(`${path}.new`, "default: deny\n");
    await rename(`${path}.new`, path);
    await eventually(() => file.current.default === "deny", "the new policy");
    assert.equal(file.current.readOnly, false);
    await writeFile(path, "read_only: true\n");
    await eventually(() => file.current.readOnly, "the policy that was written in place");
  });

  it("policy: that comes later counts from then on", async () => {
    const file = await watched();
    let told = 0;
    file.onChange(() => (told += 1));
    await writeFile(path, "default: deny\n");
    await eventually(() => file.current.default === "deny", "the policy");
    assert.equal(told, 1);
  });

  it("policy: that breaks, or goes, leaves the old one in force and says so", async () => {
    await writeFile(path, "default: deny\n");
    const file = await watched();
    const before = file.report;
    await writeFile(path, "default: deny\nnonsense: 1\n");
    await eventually(() => file.report?.problem, "the problem");
    assert.match(file.report?.problem ?? "", /line 2: nonsense is not known/);
    assert.deepEqual({ ...file.report, problem: "" }, before);
    assert.equal(file.current.default, "deny");

    await rm(path);
    await eventually(() => file.report?.problem.includes("is not there"), "that it is gone");
    assert.equal(file.current.default, "deny");

    await writeFile(path, "default: deny\n");
    await eventually(() => file.report?.problem === "", "that all is well again");
  });

  it("policy: whose first version is broken is told of, although none is in force", async () => {
    const file = await watched();
    await writeFile(path, "default: perhaps\n");
    await eventually(() => file.report?.problem, "the problem");
    assert.deepEqual([file.report?.digest, file.current.default], ["", "allow"]);
  });
});
