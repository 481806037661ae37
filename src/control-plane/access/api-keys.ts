import type { Logger } from "pino";
import { apiKeyText } from "../../domain/api-key.ts";
import { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { ApiKeyRecord, ApiKeyRole } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Actor, doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import { keySecretHash, newKeySecret } from "./key-secret.ts";
import type { KeyVerifier } from "./key-verifier.ts";

/** How long a key lives unless its creator says otherwise. */
export const defaultKeyLifetimeMs = 365 * 24 * 60 * 60_000;

/** What a new key is to be. */
export interface NewApiKey {
  readonly name: string;
  readonly description: string;
  readonly role: ApiKeyRole;
  readonly hostSelector: readonly string[];
  /** Undefined: 365 days. Infinity: it has no end. */
  readonly lifetimeMs: number | undefined;
}

/** What the keys need. */
export interface ApiKeysParts {
  readonly storage: { readonly keys: Storage["keys"] };
  readonly events: Pick<EventLog, "make">;
  readonly verifier: Pick<KeyVerifier, "revoked">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Keeps the keys of the API. Their secrets are known only to whoever created them. */
export class ApiKeys {
  readonly #parts: ApiKeysParts;

  constructor(parts: ApiKeysParts) {
    this.#parts = parts;
  }

  /** Creates a key. What it resolves to is the only place where the secret is ever told. Rejects with NAME_IN_USE. */
  create(wanted: NewApiKey, actor: Actor): Promise<{ record: ApiKeyRecord; key: string }> {
    return this.#create(wanted, actor, async () => undefined);
  }

  /**
   * Creates a key of an admin, after `keep` has kept it: a key that somebody has and that is not valid does less harm than one that
   * is valid and lost.
   */
  async createFirst(keep: (key: string) => Promise<void>): Promise<void> {
    const wanted: NewApiKey = {
      name: "admin",
      description: "made by the control plane, because there was no key that may manage keys",
      role: "admin",
      hostSelector: [],
      lifetimeMs: Number.POSITIVE_INFINITY,
    };
    const actor: Actor = { name: "control-plane", address: "" };
    try {
      await this.#create(wanted, actor, keep);
    } catch (error) {
      if (!(error instanceof FleetError) || error.reason !== "NAME_IN_USE") throw error;
      // A key that has expired, or one that may do less.
      await this.#create({ ...wanted, name: `admin-${newId().slice(-12)}` }, actor, keep);
    }
  }

  async #create(wanted: NewApiKey, actor: Actor, keep: (key: string) => Promise<void>) {
    const { storage, events, clock } = this.#parts;
    const now = clock.now();
    const secret = newKeySecret();
    const { lifetimeMs = defaultKeyLifetimeMs, ...rest } = wanted;
    const record: ApiKeyRecord = {
      ...rest,
      id: newId(),
      secretHash: keySecretHash(secret),
      createdBy: actor.name,
      createTime: now,
      ...(lifetimeMs === Number.POSITIVE_INFINITY ? {} : { expireTime: now + lifetimeMs }),
    };
    const created = events.make({
      type: EventType.API_KEY_CREATED,
      ...doneBy(actor, {
        created_key_id: record.id,
        name: record.name,
        role: record.role,
        host_selector: record.hostSelector.join(","),
        expire_time: record.expireTime === undefined ? "never" : new Date(record.expireTime).toISOString(),
      }),
    });
    const key = apiKeyText({ id: record.id, secret });
    await keep(key);
    if (!(await storage.keys.create(record, [created]))) {
      throw new FleetError(
        "NAME_IN_USE",
        `another API key is called ${JSON.stringify(record.name)}; revoke it first, or choose another name`,
        { metadata: { name: record.name } },
      );
    }
    return { record, key };
  }

  /** Lists keys, newest first. */
  list(before: { createTime: number; id: string } | undefined, limit: number): Promise<ApiKeyRecord[]> {
    return this.#parts.storage.keys.list(before, limit);
  }

  /** Revokes a key, which has effect before this resolves. Revoking again changes nothing. Rejects with KEY_NOT_FOUND. */
  async revoke(idOrName: string, actor: Actor): Promise<ApiKeyRecord> {
    const { storage, events, verifier, clock } = this.#parts;
    const revoked = await storage.keys.revoke(idOrName, clock.now(), ({ id, name }) => [
      events.make({ type: EventType.API_KEY_REVOKED, ...doneBy(actor, { revoked_key_id: id, name }) }),
    ]);
    if (revoked === undefined) {
      throw new FleetError("KEY_NOT_FOUND", `there is no API key ${JSON.stringify(idOrName)}`, {
        metadata: { key: idOrName },
      });
    }
    verifier.revoked(revoked.id);
    return revoked;
  }
}
