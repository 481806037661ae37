import { fromBinary, toJson } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { defaultSessionSettings } from "../../src/control-plane/session/session-settings.ts";
import { parseRegistrationToken } from "../../src/domain/registration-token.ts";
import { provesKey } from "../../src/control-plane/enrolment/hello-proof.ts";
import { type Reason, reasonTraits } from "../../src/domain/errors.ts";
import { HelloSchema } from "../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { OperationSchema } from "../../src/gen/fairlead/agent/v1/operation_pb.js";
import { type OperationCase, operationTraits } from "../../src/rpc/operation-traits.ts";
import { statusOfReason } from "../../src/rpc/status-of-reason.ts";
import { fencedBlocks, readPage, section, tableRows } from "./markdown.ts";

const page = readPage("docs/protocol.md");
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

describe("docs/protocol.md", () => {
  it("has a worked example whose signature anybody can recompute", async () => {
    const values = workedExample();
    const seed = value(values, "private key (seed)");
    const key = createPrivateKey({
      key: Buffer.concat([pkcs8Prefix, seed]),
      format: "der",
      type: "pkcs8",
    });
    const publicKey = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
    const nonce = value(values, "nonce");
    const hello = value(values, "hello");
    const signed = Buffer.concat([Buffer.from("fairlead-hello-v1"), Buffer.from([0]), nonce, hello]);

    assert.deepEqual(publicKey, value(values, "public key"));
    assert.deepEqual(signed, value(values, "signed bytes"));
    assert.deepEqual(sign(null, signed, key), value(values, "signature"));
    const signature = value(values, "signature");
    assert.equal(await provesKey({ publicKey, nonce, hello, signature }), true);
  });

  it("shows what the hello of the worked example says", () => {
    const json = fencedBlocks(page).find(({ language }) => language === "json")?.text ?? "";
    const hello = fromBinary(HelloSchema, value(workedExample(), "hello"));
    assert.deepEqual(JSON.parse(json), toJson(HelloSchema, hello));
  });

  it("C12 lists every reason with its status and whether a retry can help", () => {
    const [, table = ""] = /<!-- reasons: begin[^>]*>([^]*?)<!-- reasons: end -->/.exec(page) ?? [];
    const expected = Object.entries(reasonTraits).map(([reason, { retryable }]) => [
      reason,
      statusName(reason as Reason),
      retryable ? "yes" : "no",
    ]);
    assert.deepEqual(tableRows(table), expected);
  });

  it("gives each refusal the status that it really has", () => {
    const rows = tableRows(section(page, "## When a stream ends"));
    assert.ok(rows.length >= 15, "the table of refusals is gone");
    for (const [reason = "", status] of rows) {
      assert.equal(status, statusName(reason as Reason), reason);
    }
  });

  it("says of each operation what the schema says", () => {
    const documented = tableRows(section(page, "## Operations")).map(([name, mutates, converges]) => [
      name,
      mutates === "yes",
      converges === "yes",
    ]);
    const expected = OperationSchema.fields.map((field) => {
      const { name, mutates, converges } = operationTraits(field.localName as OperationCase);
      return [name, mutates, converges];
    });
    assert.deepEqual(documented, expected);
  });

  it("states the limits that sessions are really held to", () => {
    const limits = section(page, "## Limits");
    const { handshakeTimeoutMs, maxHandshakes, maxHandshakesEach, maxWaitingStreams } =
      defaultSessionSettings;
    const { maxFailedHandshakes, maxFrameBytes, maxQueuedBytes, maxUnstoredEvents } = defaultSessionSettings;
    const stated = [
      `to the hello | ${handshakeTimeoutMs / 1000} s |`,
      `in all | ${count(maxHandshakes)} |`,
      `/64) | ${count(maxHandshakesEach)} |`,
      `included | ${count(maxWaitingStreams)} |`,
      `a minute | ${count(maxFailedHandshakes)} |`,
      `serialised frame | ${maxFrameBytes / 1024} KiB |`,
      `slow agent | ${maxQueuedBytes / 1024 / 1024} MiB |`,
      `to be stored | ${count(maxUnstoredEvents)} |`,
    ];
    for (const words of stated) assert.ok(limits.includes(words), `not in the table: ${words}`);
    const session = section(page, "## The session");
    const { heartbeatIntervalMs, leaseMs } = defaultSessionSettings;
    assert.ok(session.includes(`${heartbeatIntervalMs / 1000} s by default`));
    assert.ok(session.includes(`${leaseMs / 1000} s by default`));
  });

  it("describes the token in the form that is accepted", () => {
    const secret = "A".repeat(43);
    assert.deepEqual(parseRegistrationToken(`fl1.none.${secret}`), { caDigest: "none", secret });
    assert.ok(page.includes("fl1.<CA digest>.<secret>"));
  });
});

function workedExample(): Map<string, Buffer> {
  const block = fencedBlocks(page).find(({ text }) => text.startsWith("private key"));
  const parts = (block?.text ?? "").trim().split("\n\n");
  return new Map(
    parts.map((part) => {
      const [title = "", ...lines] = part.split("\n");
      return [title, Buffer.from(lines.join(""), "hex")];
    }),
  );
}

function value(values: ReadonlyMap<string, Buffer>, title: string): Buffer {
  const bytes = values.get(title);
  assert.ok(bytes !== undefined && bytes.byteLength > 0, `the worked example has no ${title}`);
  return bytes;
}

function statusName(reason: Reason): string {
  const name = Code[statusOfReason[reason]].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return name === "CANCELED" ? "CANCELLED" : name;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}
