import assert from "node:assert/strict";
import { Authenticator, maxFailuresEach } from "../../../src/control-plane/access/authenticator.ts";
import { ApiKeys } from "../../../src/control-plane/access/api-keys.ts";
import { Credential, Expiries, notValid } from "../../../src/control-plane/access/credential.ts";
import { KeyUses } from "../../../src/control-plane/access/key-uses.ts";
import { keySecretHash, newKeySecret } from "../../../src/control-plane/access/key-secret.ts";
import { KeyVerifier } from "../../../src/control-plane/access/key-verifier.ts";
import type { EventDraft } from "../../../src/control-plane/events/event-log.ts";
import { newId } from "../../../src/domain/ids.ts";
import { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import type { ApiKeyRecord } from "../../../src/storage/records.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { silentLogger } from "../../support/silent-logger.ts";
import { TemporaryStorage } from "../../storage/temporary-storage.ts";
import { ManualClock } from "../events/manual-clock.ts";
import { failureOf } from "../services/services-harness.ts";

const guess = () => `flk_${newId()}_${"x".repeat(43)}`;
const here = "192.0.2.1";
const admin = { name: "admin", address: here };

/** A database whose reads and writes of keys are counted. */
function counting(storage: Storage) {
  const counts = { reads: 0, writes: 0 };
  const keys = {
    create: storage.keys.create.bind(storage.keys),
    list: storage.keys.list.bind(storage.keys),
    revoke: storage.keys.revoke.bind(storage.keys),
    hasAdmin: storage.keys.hasAdmin.bind(storage.keys),
    get(id: string) {
      counts.reads += 1;
      return storage.keys.get(id);
    },
    noteUses(uses: readonly { id: string; time: number }[]) {
      counts.writes += 1;
      return storage.keys.noteUses(uses);
    },
  };
  return { counts, keys };
}

describe("a credential", () => {
  it("V04 tells each who listens once that it is no longer good, also who comes too late", () => {
    const heard: string[] = [];
    const credential = new Credential(
      { name: "ci", role: Role.VIEWER },
      undefined,
      new Expiries(new ManualClock()),
    );
    credential.caller.onEnd?.(() => heard.push("listens"));
    credential.caller.onEnd?.(() => heard.push("has gone"))();
    credential.end(notValid());
    credential.end(notValid());
    credential.caller.onEnd?.(({ reason }) => heard.push(`late: ${reason}`));
    assert.deepEqual(heard, ["listens", "late: UNAUTHENTICATED"]);
  });
});

describe("the verifier of keys", () => {
  it("V04 a key that is revoked while it is looked up is refused, although what was read is of before that", async () => {
    const clock = new ManualClock();
    const secret = newKeySecret();
    const record: ApiKeyRecord = {
      id: "key-1",
      name: "ci",
      description: "",
      role: "viewer",
      hostSelector: [],
      secretHash: keySecretHash(secret),
      createdBy: "admin",
      createTime: clock.now(),
    };
    const reads: PromiseWithResolvers<ApiKeyRecord>[] = [];
    const get = () => {
      const read = Promise.withResolvers<ApiKeyRecord>();
      reads.push(read);
      return read.promise;
    };
    const verifier = new KeyVerifier({ storage: { keys: { get } }, clock, expiries: new Expiries(clock) });
    const verdict = verifier.verify({ id: record.id, secret });
    verifier.revoked(record.id);
    reads[0]?.resolve(record);
    await new Promise((resolve) => setImmediate(resolve));
    reads[1]?.resolve({ ...record, revokeTime: clock.now() });
    assert.deepEqual(await verdict, { kind: "refused", cause: "REVOKED" });
  });
});

describe("the authenticator", () => {
  const files = new TemporaryStorage();
  let storage: Storage;
  const clock = new ManualClock();
  const logger = silentLogger;

  before(async () => {
    storage = await files.open();
  });
  after(() => files.remove());

  function open(maxKnown?: number) {
    const { counts, keys } = counting(storage);
    const events: EventDraft[] = [];
    const expiries = new Expiries(clock);
    const shared = { storage: { keys }, clock, logger, expiries };
    const verifier = new KeyVerifier({ ...shared, ...(maxKnown === undefined ? {} : { maxKnown }) });
    const uses = new KeyUses(shared);
    const log = {
      record: (draft: EventDraft) => void events.push(draft),
      make: (draft: EventDraft) => ({
        eventTime: 0,
        recordTime: 0,
        hostId: "",
        hostName: "",
        containerId: "",
        containerName: "",
        commandId: "",
        actor: "",
        attributes: {},
        ...draft,
      }),
    };
    const authenticator = new Authenticator({ verifier, uses, events: log, clock, logger });
    const apiKeys = new ApiKeys({ storage: { keys }, events: log, verifier, clock, logger });
    const call = async (key: string, address = here) =>
      authenticator.authenticate(new Headers({ authorization: `Bearer ${key}` }), address);
    const newKey = async (lifetimeMs?: number) => {
      const wanted = {
        name: newId(),
        description: "",
        role: "viewer" as const,
        hostSelector: [],
        lifetimeMs,
      };
      return (await apiKeys.create(wanted, admin)).key;
    };
    return { authenticator, apiKeys, counts, events, uses, call, newKey };
  }

  it("reads the database once for a key, however often it calls, and writes when it was used at most once a minute", async () => {
    const { authenticator, call, counts, newKey, uses } = open();
    const key = await newKey();
    const headers = new Headers({ authorization: `Bearer ${key}` });
    await call(key);
    const [reads, writes] = [counts.reads, counts.writes];
    for (let times = 0; times < 1_000; times += 1) {
      const caller = authenticator.authenticate(headers, here);
      assert.ok(!(caller instanceof Promise));
    }
    assert.deepEqual([counts.reads, counts.writes], [reads, writes]);
    await uses.write();
    assert.equal(counts.writes, writes + 1);
  });

  it("keeps a bounded number of keys in memory, and those with open streams whatever the bound", async () => {
    const { call, counts, newKey, apiKeys } = open(2);
    const [first = "", second = "", third = ""] = [await newKey(), await newKey(), await newKey()];
    const reasons: string[] = [];
    (await call(first)).onEnd?.(({ reason }) => void reasons.push(reason));
    await call(second);
    await call(third);
    const { reads } = counts;
    await call(first);
    await call(third);
    assert.equal(counts.reads, reads);
    await call(second);
    assert.equal(counts.reads, reads + 1);
    await apiKeys.revoke((await call(first)).keyId ?? "", admin);
    assert.deepEqual(reasons, ["UNAUTHENTICATED"]);
  });

  it("refuses a key that is revoked while it is just being looked up", async () => {
    const { call, newKey, apiKeys } = open();
    const key = await newKey();
    const id = key.slice(4, 40);
    const [seen] = await Promise.allSettled([call(key), apiKeys.revoke(id, admin)]);
    assert.equal((await failureOf(call(key))).reason, "UNAUTHENTICATED");
    if (seen.status === "fulfilled") {
      const reasons: string[] = [];
      seen.value.onEnd?.(({ reason }) => void reasons.push(reason));
      assert.deepEqual(reasons, ["UNAUTHENTICATED"]);
    }
  });

  it("lets a key go at its time, without a restart and without a read", async () => {
    const { call, newKey } = open();
    const key = await newKey(5_000);
    await call(key);
    clock.advance(5_000);
    assert.equal((await failureOf(call(key))).reason, "UNAUTHENTICATED");
  });

  it("V09 stops looking at what an address tries after too many failures, lets its good keys through, and others too", async () => {
    const { call, counts, newKey, events } = open();
    const key = await newKey();
    await call(key);
    for (let times = 0; times < maxFailuresEach; times += 1) {
      assert.equal((await failureOf(call(guess()))).reason, "UNAUTHENTICATED");
    }
    const { reads } = counts;
    const error = await failureOf(call(guess()));
    assert.deepEqual([error.reason, error.retryAfterMs], ["OVERLOADED", 60_000]);
    assert.equal(counts.reads, reads, "it was looked at");
    await call(key);
    assert.equal((await failureOf(call(guess(), "192.0.2.2"))).reason, "UNAUTHENTICATED");
    assert.deepEqual(
      events
        .filter(({ type }) => type === EventType.ACCESS_REFUSED)
        .map(({ attributes }) => [attributes?.["address"], attributes?.["attempts"]]),
      [
        [here, "1"],
        [here, `${maxFailuresEach}`],
        ["192.0.2.2", "1"],
      ],
    );
    clock.advance(60_000);
    assert.equal((await failureOf(call(guess()))).reason, "UNAUTHENTICATED");
  });

  it("V09 holds many failures at once against an address, also of one IPv6 network and of IPv4 in IPv6", async () => {
    for (const [one, other] of [
      ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"],
      ["::ffff:192.0.2.9", "192.0.2.9"],
    ] as const) {
      const { call, counts } = open();
      const calls = Array.from({ length: 100 }, (_, at) =>
        failureOf(call(`flk_${newId()}_${"x".repeat(43)}`, at % 2 === 0 ? one : other)),
      );
      const reasons = (await Promise.all(calls)).map(({ reason }) => reason);
      assert.equal(reasons.filter((reason) => reason === "UNAUTHENTICATED").length, maxFailuresEach);
      assert.equal(counts.reads, maxFailuresEach);
    }
  });

  it("good keys that are seen for the first time, many at once, count as no failures", async () => {
    const { call, newKey } = open();
    const keys = await Promise.all(Array.from({ length: 10 }, () => newKey()));
    for (let round = 0; round < 5; round += 1) await Promise.all(keys.map((key) => call(key, "192.0.2.7")));
    assert.equal((await failureOf(call("flk_x", "192.0.2.7"))).reason, "UNAUTHENTICATED");
  });
});
