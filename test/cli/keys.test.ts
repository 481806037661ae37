import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../src/domain/errors.ts";
import { ApiKeyState } from "../../src/gen/fairlead/access/v1/api_key_pb.js";
import type { CreateApiKeyRequest } from "../../src/gen/fairlead/access/v1/api_key_service_pb.js";
import { Role } from "../../src/gen/fairlead/access/v1/role_pb.js";
import type { UpdateHostRequest } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { closeApis, fairlead, nowMs } from "./command-line.ts";
import { minutesAgo } from "./containers.ts";

const key = { id: "k-1", name: "ci", role: Role.OPERATOR, state: ApiKeyState.ACTIVE };

/** Two keys, as a server lists them. */
const listApiKeys = () => ({
  apiKeys: [
    {
      ...key,
      hostSelector: ["site=berlin", "prod"],
      createTime: minutesAgo(70),
      expireTime: timestampFromMs(nowMs + 86_400_000),
      lastUseTime: minutesAgo(5),
      description: "the\nbuild",
    },
    {
      ...key,
      id: "k-0",
      name: "admin",
      role: Role.ADMIN,
      state: ApiKeyState.REVOKED,
      createTime: minutesAgo(80),
    },
  ],
});

describe("keys on the command line", () => {
  afterEach(closeApis);

  it("O22 keys create prints the key alone, so that a script can keep it, and asks for what it was told", async () => {
    const asked: CreateApiKeyRequest[] = [];
    const keys = {
      createApiKey(request: CreateApiKeyRequest) {
        asked.push(request);
        return { apiKey: key, key: "flk_k-1_secret" };
      },
    };
    const line = [
      "keys",
      "create",
      "ci",
      "--role",
      "operator",
      "--lifetime",
      "90d",
      "--description",
      "the build",
    ];
    const labels = ["--host-label", "site=berlin", "--host-label", "prod"];
    const { stdout, stderr, code } = await fairlead({ keys }, [...line, ...labels]);
    assert.deepEqual([stdout, stderr, code], ["flk_k-1_secret\n", "", 0]);
    const { name, role, lifetime, description, hostSelector, neverExpires } = asked[0]!;
    assert.deepEqual(
      [name, role, lifetime?.seconds, description, hostSelector, neverExpires],
      ["ci", Role.OPERATOR, 7_776_000n, "the build", ["site=berlin", "prod"], false],
    );
    await fairlead({ keys }, ["keys", "create", "ci", "--lifetime", "never"]);
    assert.deepEqual(
      [asked[1]?.neverExpires, asked[1]?.lifetime, asked[1]?.role],
      [true, undefined, Role.VIEWER],
    );
    await fairlead({ keys }, ["keys", "create", "ci"]);
    assert.deepEqual([asked[2]?.neverExpires, asked[2]?.lifetime], [false, undefined]);
    const json = await fairlead({ keys }, ["keys", "create", "ci", "--json"]);
    assert.equal((JSON.parse(json.stdout) as { key: string }).key, "flk_k-1_secret");
  });

  it("O22 keys ls shows who may do what where, until when, and when they last did", async () => {
    const { stdout } = await fairlead({ keys: { listApiKeys } }, ["keys"]);
    const rows = stdout.split("\n").map((row) => row.split(/ {2,}/));
    assert.deepEqual(rows[1], [
      "k-1",
      "ci",
      "operator",
      "site=berlin,prod",
      "active",
      "About an hour ago",
      "2026-02-01T12:00:00.000Z",
      "5 minutes ago",
      "the\\nbuild",
    ]);
    assert.deepEqual(rows[2]?.slice(1, 8), [
      "admin",
      "admin",
      "all",
      "revoked",
      "About an hour ago",
      "Never",
      "Never",
    ]);
  });

  it("O22 keys revoke goes on after one that is unknown, and fails in the end", async () => {
    const keys = {
      revokeApiKey({ key: name }: { key: string }) {
        if (name === "none") throw new FleetError("KEY_NOT_FOUND", "there is no such key");
        return { apiKey: { ...key, name } };
      },
    };
    const { stdout, stderr, code } = await fairlead({ keys }, ["keys", "revoke", "none", "ci"]);
    assert.deepEqual([stdout, code], ["ci\n", 1]);
    assert.match(stderr, /none.*KEY_NOT_FOUND|KEY_NOT_FOUND.*none/s);
  });

  it("O18 hosts label adds and takes away, keeps the rest, and shows without changing", async () => {
    const asked: UpdateHostRequest[] = [];
    const host = { id: "h-1", name: "web-1", labels: { env: "prod", site: "rome", toString: "x" } };
    const hosts = {
      getHost: () => ({ host }),
      updateHost(request: UpdateHostRequest) {
        asked.push(request);
        return { host: { ...host, labels: request.labels?.labels ?? {} } };
      },
    };
    const shown = await fairlead({ hosts }, ["hosts", "label", "web-1"]);
    assert.deepEqual([shown.stdout, asked.length], ["env=prod\nsite=rome\ntoString=x\n", 0]);
    const { stdout } = await fairlead({ hosts }, [
      "hosts",
      "label",
      "web-1",
      "site=a=b",
      "env-",
      "new=",
      "gone-",
    ]);
    assert.equal(stdout, "new=\nsite=a=b\ntoString=x\n");
    assert.deepEqual(
      [asked[0]?.host, asked[0]?.labels?.labels],
      ["h-1", { new: "", site: "a=b", toString: "x" }],
    );
    const wrong = await fairlead({ hosts }, ["hosts", "label", "web-1", "site"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /site=value.*site-/);
  });

  it("O18 hosts rename gives a host another name, and leaves its labels alone", async () => {
    const asked: UpdateHostRequest[] = [];
    const updateHost = (request: UpdateHostRequest) => {
      asked.push(request);
      return { host: { id: "h-1", name: request.displayName ?? "" } };
    };
    const { stdout } = await fairlead({ hosts: { updateHost } }, ["hosts", "rename", "web-1", "db-1"]);
    assert.equal(stdout, "db-1\n");
    assert.deepEqual([asked[0]?.host, asked[0]?.displayName, asked[0]?.labels], ["web-1", "db-1", undefined]);
  });
});
