import { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { registrationTokenText } from "../../domain/registration-token.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TokenRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
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

  /** Creates a token. What it resolves to is the only place where the secret is ever told. */
  async create(wanted: NewToken): Promise<{ record: TokenRecord; token: string }> {
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
    };
    const created = this.#events.make({
      type: EventType.TOKEN_CREATED,
      actor: wanted.createdBy,
      attributes: {
        token_id: record.id,
        max_uses: `${record.maxUses}`,
        expire_time: new Date(record.expireTime).toISOString(),
        description: record.description,
        address: wanted.address,
      },
    });
    await this.#storage.tokens.create(record, [created]);
    return { record, token: registrationTokenText(token) };
  }

  /** Lists tokens, newest first. */
  list(before: { createTime: number; id: string } | undefined, limit: number): Promise<TokenRecord[]> {
    return this.#storage.tokens.list(before, limit);
  }

  /** Revokes a token. Revoking again changes nothing. Rejects with TOKEN_NOT_FOUND. */
  async revoke(id: string, actor: string): Promise<TokenRecord> {
    const revoked = await this.#storage.tokens.revoke(id, this.#clock.now(), (token) => [
      this.#events.make({ type: EventType.TOKEN_REVOKED, actor, attributes: { token_id: token.id } }),
    ]);
    if (revoked === undefined) {
      throw new FleetError("TOKEN_NOT_FOUND", `there is no registration token ${JSON.stringify(id)}`, {
        metadata: { token_id: id },
      });
    }
    return revoked;
  }
}
