import { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { registrationTokenText } from "../../domain/registration-token.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TokenRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Actor, doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import { newRegistrationToken, secretHash } from "./registration-token.ts";

/** How long a token lives unless its creator says otherwise. */
export const defaultTokenLifetimeMs = 15 * 60_000;

/** What a new token is to be. */
export interface NewToken {
  readonly description: string;
  /** Default: 15 minutes. */
  readonly lifetimeMs: number | undefined;
  /** How many agents it may enrol. Default: 1. */
  readonly maxUses: number | undefined;
  /** Who asks for it. */
  readonly createdBy: string;
  /** Where from, for the event. */
  readonly address: string;
  /** With which API key, for the event. */
  readonly keyId?: string | undefined;
  /** The host that it brings back; such a token has one use. Default: it makes new hosts. */
  readonly host?: { readonly hostId: string; readonly hostName: string } | undefined;
}

/** Keeps the tokens that allow agents to enrol. Their secrets are known only to whoever created them. */
export class RegistrationTokens {
  readonly #storage: Storage;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #caDigest: () => string;

  constructor(parts: { storage: Storage; events: EventLog; clock: Clock; caDigest: () => string }) {
    this.#storage = parts.storage;
    this.#events = parts.events;
    this.#clock = parts.clock;
    this.#caDigest = parts.caDigest;
  }

  /**
   * Creates a token. What it resolves to is the only place where the secret is ever told. Rejects with INVALID_ARGUMENT for a token with
   * several uses that is made for one host.
   */
  async create(wanted: NewToken): Promise<{ record: TokenRecord; token: string }> {
    const { host } = wanted;
    if (host !== undefined && (wanted.maxUses ?? 1) > 1) throw oneUseOnly();
    const now = this.#clock.now();
    const token = newRegistrationToken(this.#caDigest());
    const record: TokenRecord = {
      id: newId(),
      secretHash: secretHash(token.secret),
      description: wanted.description,
      createdBy: wanted.createdBy,
      createTime: now,
      expireTime: now + (wanted.lifetimeMs ?? defaultTokenLifetimeMs),
      maxUses: wanted.maxUses ?? 1,
      useCount: 0,
      ...(host === undefined ? {} : { hostId: host.hostId }),
    };
    const created = this.#events.make({
      type: EventType.TOKEN_CREATED,
      ...(host === undefined ? {} : { hostId: host.hostId, hostName: host.hostName }),
      ...doneBy(
        { name: wanted.createdBy, address: wanted.address, keyId: wanted.keyId },
        {
          token_id: record.id,
          max_uses: `${record.maxUses}`,
          expire_time: new Date(record.expireTime).toISOString(),
          description: record.description,
        },
      ),
    });
    await this.#storage.tokens.create(record, [created]);
    return { record, token: registrationTokenText(token) };
  }

  /** Lists tokens, newest first. */
  list(before: { createTime: number; id: string } | undefined, limit: number): Promise<TokenRecord[]> {
    return this.#storage.tokens.list(before, limit);
  }

  /** Revokes a token. Revoking again changes nothing. Rejects with TOKEN_NOT_FOUND. */
  async revoke(id: string, actor: Actor): Promise<TokenRecord> {
    const revoked = await this.#storage.tokens.revoke(id, this.#clock.now(), (token) => [
      this.#events.make({ type: EventType.TOKEN_REVOKED, ...doneBy(actor, { token_id: token.id }) }),
    ]);
    if (revoked === undefined) {
      throw new FleetError("TOKEN_NOT_FOUND", `there is no registration token ${JSON.stringify(id)}`, {
        metadata: { token_id: id },
      });
    }
    return revoked;
  }
}

function oneUseOnly(): FleetError {
  const description = "must be 1 for a token that is made for a host";
  return new FleetError("INVALID_ARGUMENT", `max_uses ${description}`, {
    violations: [{ field: "max_uses", description }],
  });
}
