import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { isKeySecret, keySecretHash } from "../../../src/control-plane/access/key-secret.ts";
import { parseApiKey } from "../../../src/domain/api-key.ts";
import { ApiKeyState } from "../../../src/gen/fairlead/access/v1/api_key_pb.js";
import { ApiKeyService } from "../../../src/gen/fairlead/access/v1/api_key_service_pb.js";
import { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { Health } from "../../../src/gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../src/gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as OldServerReflection } from "../../../src/gen/grpc/reflection/v1alpha/reflection_pb.js";
import { failureOf } from "../services/services-harness.ts";
import { pageOf, protocols } from "../../support/api-place.ts";
import { type GuardedControlPlane, guardedControlPlane } from "./guarded-control-plane.ts";

const unknownKey = `flk_01890a5d-ac96-774b-bcce-b302099a8057_${"x".repeat(43)}`;

async function eventsOf({ plane }: GuardedControlPlane, type: EventType) {
  return plane.controlPlane.events.list({ types: [type] }, 0, 100);
}

describe("API keys", function () {
  this.timeout(30_000);

  it("V04 the first start writes a key of an admin, readable by its owner alone, with all that a command line needs", async () => {
    await using api = await guardedControlPlane();
    const file = api.plane.controlPlane.keyFile ?? assert.fail();
    assert.equal(file, join(api.plane.dataDir, "admin.key"));
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const content = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    assert.deepEqual(content, { apiKey: api.adminKey, server: api.baseUrl, ca: api.ca });
    await api.client(HostService).listHosts({});
  });

  it("V04 the key file carries the authority to trust, and follows the API to its next address", async () => {
    await using api = await guardedControlPlane();
    const file = api.plane.controlPlane.keyFile ?? assert.fail();
    const read = async () => JSON.parse(await readFile(file, "utf8")) as Record<string, string>;
    const first = await read();
    assert.equal(first["ca"], api.plane.controlPlane.authorityCertificate);
    assert.match(first["server"] ?? "", /^https:/);
    await api.plane.restart();
    const second = await read();
    assert.equal(second["server"], api.baseUrl);
    assert.equal(second["apiKey"], api.adminKey);
  });

  for (const [name, transport] of Object.entries(protocols)) {
    it(`V04 no call gets in without a good key over ${name}, except health`, async () => {
      await using api = await guardedControlPlane();
      const revoked = await api.newKey("gone", Role.ADMIN);
      await api.client(ApiKeyService).revokeApiKey({ key: "gone" });
      const parts = parseApiKey(api.adminKey) ?? assert.fail();
      for (const key of [
        undefined,
        "",
        "flk_",
        "nonsense",
        unknownKey,
        revoked,
        `flk_${parts.id}_${"A".repeat(43)}`,
        api.adminKey.slice(0, -1),
        `${api.adminKey}A`,
      ]) {
        const to = transport(api, key);
        const refused = await failureOf(createClient(HostService, to).listHosts({}));
        assert.equal(refused.reason, "UNAUTHENTICATED", key);
        await createClient(Health, to).check({});
      }
      await createClient(HostService, transport(api, api.adminKey)).listHosts({});
    });
  }

  it("V04 what the API is made of is told to nobody without a key", async () => {
    await using api = await guardedControlPlane();
    for (const service of [ServerReflection, OldServerReflection]) {
      const reflection = createClient(service, (protocols["gRPC"] ?? assert.fail())(api));
      const answers = reflection.serverReflectionInfo((async function* () {})());
      assert.equal((await failureOf(answers[Symbol.asyncIterator]().next())).reason, "UNAUTHENTICATED");
    }
  });

  it("V04 what is no call tells strangers nothing but health", async () => {
    await using api = await guardedControlPlane();
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await pageOf(api, path, headers)).status;
    assert.deepEqual(await Promise.all(["/healthz", "/readyz"].map((path) => status(path))), [200, 200]);
    for (const path of ["/", "/metrics", "/fairlead.host.v1.HostService/Nothing", "/x"]) {
      assert.equal(await status(path), 401, path);
    }
    assert.equal(await status("/", { authorization: `Bearer ${api.adminKey}` }), 200);
  });

  it("V04 a key that is unknown, expired or revoked is refused with one and the same text", async () => {
    await using api = await guardedControlPlane();
    const expired = await api.newKey("short", Role.VIEWER, { lifetimeMs: 1_000 });
    const revoked = await api.newKey("gone", Role.VIEWER);
    await api.client(HostService, revoked).listHosts({});
    await api.client(ApiKeyService).revokeApiKey({ key: "gone" });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const texts = new Set<string>();
    for (const key of [unknownKey, expired, revoked]) {
      const { reason, message, metadata } = await failureOf(api.client(HostService, key).listHosts({}));
      texts.add(JSON.stringify({ reason, message, metadata }));
    }
    assert.equal(texts.size, 1);
    const [told] = await eventsOf(api, EventType.ACCESS_REFUSED);
    assert.deepEqual(told?.attributes, { cause: "UNKNOWN", address: "127.0.0.1", attempts: "1" });
  });

  it("V04 keys are told once, and are nowhere in the log at its most talkative, the events, errors or the database", async () => {
    await using api = await guardedControlPlane();
    const key = await api.newKey("ci", Role.OPERATOR);
    await api.client(HostService, key).listHosts({});
    const failure = await failureOf(api.client(HostService, `${key}x`).listHosts({}));
    const { apiKeys } = await api.client(ApiKeyService).listApiKeys({});
    const events = await api.plane.controlPlane.events.list({}, 0, 1_000);
    await api.plane.controlPlane.close();
    const files = (await readdir(api.plane.dataDir)).filter((name) => name.startsWith("fairlead.db"));
    assert.ok(files.length > 0);
    const contents = await Promise.all(
      files.map((name) => readFile(join(api.plane.dataDir, name), "latin1")),
    );
    const texts = [
      ...contents,
      api.plane.logLines.join(""),
      JSON.stringify([failure, failure.message, apiKeys, events], (_key, value: unknown) =>
        typeof value === "bigint" ? `${value}` : value,
      ),
    ];
    assert.ok(api.plane.logLines.some((line) => line.includes("ListHosts")));
    for (const secret of [key, api.adminKey].map((text) => parseApiKey(text)?.secret ?? assert.fail())) {
      for (const form of [
        secret,
        Buffer.from(secret).toString("base64"),
        Buffer.from(secret, "base64url").toString("latin1"),
      ]) {
        assert.ok(texts.every((text) => !text.includes(form)));
      }
    }
    assert.ok(
      contents.some((text) =>
        text.includes(Buffer.from(keySecretHash(parseApiKey(key)?.secret ?? "")).toString("latin1")),
      ),
    );
  });

  it("V10 a secret is good as a whole or not at all, and is compared in constant time", async () => {
    const secret = "a".repeat(43);
    const hash = keySecretHash(secret);
    assert.ok(isKeySecret(secret, hash));
    for (const wrong of [`b${secret.slice(1)}`, `${secret.slice(1)}b`, secret.slice(1), `${secret}a`, ""]) {
      assert.ok(!isKeySecret(wrong, hash), wrong);
    }
    assert.ok(!isKeySecret(secret, hash.subarray(1)));
    // What takes how long cannot be measured reliably here; that nothing else compares secrets can be read.
    const folder = new URL("../../../src/control-plane/access/", import.meta.url);
    for (const name of await readdir(folder)) {
      const source = await readFile(new URL(name, folder), "utf8");
      assert.doesNotMatch(
        source,
        /secret(Hash)?\s*[!=]==|[!=]==\s*\w*\.?secret(Hash)?\b|Buffer\.compare/i,
        name,
      );
    }
    const source = await readFile(new URL("key-secret.ts", folder), "utf8");
    assert.match(source, /timingSafeEqual\(/);
  });

  it("a key is created with a year to live, listed without its secret, used, and revoked at once, and events tell of each with who and where", async () => {
    await using api = await guardedControlPlane();
    const keys = api.client(ApiKeyService);
    const { apiKey, key } = await keys.createApiKey({
      name: "ci",
      description: "the build",
      role: Role.OPERATOR,
    });
    assert.equal(parseApiKey(key)?.id, apiKey?.id);
    assert.ok(apiKey?.createTime !== undefined && apiKey.expireTime !== undefined);
    assert.equal(timestampMs(apiKey.expireTime) - timestampMs(apiKey.createTime), 365 * 24 * 3_600_000);
    assert.deepEqual([apiKey.createdBy, apiKey.state], ["admin", ApiKeyState.ACTIVE]);
    const twin = await failureOf(keys.createApiKey({ name: "ci", role: Role.VIEWER }));
    assert.equal(twin.reason, "NAME_IN_USE");
    await api.client(HostService, key).listHosts({});
    await api.client(HostService, key).listHosts({});
    const { apiKey: revoked } = await keys.revokeApiKey({ key: "ci" });
    assert.equal(revoked?.state, ApiKeyState.REVOKED);
    assert.equal((await failureOf(api.client(HostService, key).listHosts({}))).reason, "UNAUTHENTICATED");
    const again = await keys.revokeApiKey({ key: apiKey.id });
    assert.deepEqual(again.apiKey?.revokeTime, revoked.revokeTime);
    assert.equal((await failureOf(keys.revokeApiKey({ key: "ci" }))).reason, "KEY_NOT_FOUND");
    await keys.createApiKey({ name: "ci", role: Role.VIEWER, neverExpires: true });
    const { apiKeys } = await keys.listApiKeys({});
    assert.deepEqual(
      apiKeys.map(({ name, state }) => [name, state]),
      [
        ["ci", ApiKeyState.ACTIVE],
        ["ci", ApiKeyState.REVOKED],
        ["admin", ApiKeyState.ACTIVE],
      ],
    );
    assert.equal(apiKeys[0]?.expireTime, undefined);
    const adminId = parseApiKey(api.adminKey)?.id;
    const used = (await eventsOf(api, EventType.API_KEY_FIRST_USED)).filter(({ actor }) => actor === "ci");
    assert.deepEqual(
      used.map(({ attributes }) => attributes),
      [{ address: "127.0.0.1", key_id: apiKey.id }],
    );
    const [gone] = await eventsOf(api, EventType.API_KEY_REVOKED);
    assert.deepEqual(
      [gone?.actor, gone?.attributes],
      ["admin", { revoked_key_id: apiKey.id, name: "ci", address: "127.0.0.1", key_id: adminId }],
    );
    const [, created] = await eventsOf(api, EventType.API_KEY_CREATED);
    assert.deepEqual(
      [created?.actor, created?.attributes["created_key_id"], created?.attributes["key_id"]],
      ["admin", apiKey.id, adminId],
    );
  });

  it("mutations by others say which key and address they came from: tokens, hosts", async () => {
    await using api = await guardedControlPlane();
    const keyId = parseApiKey(api.adminKey)?.id ?? assert.fail();
    const agent = await api.plane.enrolled();
    const tokens = api.client(RegistrationTokenService);
    const { registrationToken } = await tokens.createRegistrationToken({});
    await tokens.revokeRegistrationToken({ id: registrationToken?.id ?? "" });
    const { hosts } = await api.client(HostService).listHosts({});
    await api.client(HostService).updateHost({ host: hosts[0]?.id ?? "", displayName: "other" });
    agent.close();
    await api.client(HostService).deleteHost({ host: "other" });
    for (const type of [
      EventType.TOKEN_CREATED,
      EventType.TOKEN_REVOKED,
      EventType.HOST_UPDATED,
      EventType.HOST_DELETED,
    ]) {
      const told = (await eventsOf(api, type)).at(-1);
      assert.deepEqual(
        [told?.actor, told?.attributes["address"], told?.attributes["key_id"]],
        ["admin", "127.0.0.1", keyId],
        EventType[type],
      );
    }
  });

  it("when a key was used last is told, survives a restart, and costs no write a call", async () => {
    await using api = await guardedControlPlane();
    const key = await api.newKey("ci", Role.VIEWER);
    const lastUse = async () => {
      const { apiKeys } = await api.client(ApiKeyService).listApiKeys({});
      return apiKeys.find(({ name }) => name === "ci")?.lastUseTime;
    };
    assert.equal(await lastUse(), undefined);
    await api.client(HostService, key).listHosts({});
    const before = await api.plane.controlPlane.events.list({}, 0, 1_000);
    for (let call = 0; call < 50; call += 1) await api.client(HostService, key).listHosts({});
    assert.equal((await api.plane.controlPlane.events.list({}, 0, 1_000)).length, before.length);
    const first = await lastUse();
    assert.ok(first !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await api.client(HostService, key).listHosts({});
    assert.deepEqual(await lastUse(), first, "written with a call");
    await api.plane.restart();
    const later = await lastUse();
    assert.ok(later !== undefined && timestampMs(later) > timestampMs(first));
    await api.client(HostService, key).listHosts({});
    const used = (await eventsOf(api, EventType.API_KEY_FIRST_USED)).filter(({ actor }) => actor === "ci");
    assert.equal(used.length, 1);
  });

  it("when nobody is left who can manage keys, the next start makes another admin's key, and not otherwise", async () => {
    await using api = await guardedControlPlane();
    await api.plane.restart();
    assert.equal(api.plane.adminKey, api.adminKey);
    await api.newKey("part", Role.ADMIN, { hostSelector: ["site=berlin"] });
    await api.client(ApiKeyService).revokeApiKey({ key: "admin" });
    assert.equal((await failureOf(api.client(HostService).listHosts({}))).reason, "UNAUTHENTICATED");
    await api.plane.restart();
    const next = api.plane.adminKey;
    assert.notEqual(next, api.adminKey);
    await api.client(ApiKeyService, next).listApiKeys({});
  });

  it("V02 what a key may not be is refused by field", async () => {
    await using api = await guardedControlPlane();
    const keys = api.client(ApiKeyService);
    const good = { name: "ci", role: Role.VIEWER };
    for (const [request, field] of [
      [{ ...good, name: "" }, "name"],
      [{ ...good, name: "oidc:x" }, "name"],
      [{ ...good, role: Role.UNSPECIFIED }, "role"],
      [{ ...good, role: Role.PUBLIC }, "role"],
      [{ ...good, role: 9 as Role }, "role"],
      [{ ...good, hostSelector: ["=x"] }, "host_selector[0]"],
      [{ ...good, lifetime: { seconds: 0n } }, "lifetime"],
      [{ ...good, lifetime: { seconds: 60n }, neverExpires: true }, ""],
    ] as const) {
      const { reason, violations } = await failureOf(keys.createApiKey(request as typeof good));
      assert.deepEqual([reason, violations[0]?.field], ["INVALID_ARGUMENT", field]);
    }
  });
});
