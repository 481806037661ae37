import type { ApiKeyParts } from "../../domain/api-key.ts";
import { Role } from "../../gen/fairlead/access/v1/role_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { ApiKeyRecord, ApiKeyRole } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import { Credential, type Expiries, notValid } from "./credential.ts";
import { HostScope } from "./host-scope.ts";
import { isKeySecret } from "./key-secret.ts";

/** Why credentials are refused. Callers are not told. */
export type RefusalCause = "MALFORMED" | "UNKNOWN" | "EXPIRED" | "REVOKED";

/** What became of a look at credentials. */
export type Verdict =
  | { readonly kind: "good"; readonly credential: Credential; readonly firstUse: boolean }
  | { readonly kind: "refused"; readonly cause: RefusalCause };

interface KnownKey {
  readonly secretHash: Uint8Array;
  readonly credential: Credential;
  revoked: boolean;
  used: boolean;
}

/** What a key verifier needs. */
export interface KeyVerifierParts {
  readonly storage: { readonly keys: Pick<Storage["keys"], "get"> };
  readonly clock: Clock;
  readonly expiries: Expiries;
  /** How many keys are kept in memory. Default 10,000. */
  readonly maxKnown?: number;
}

const roleOfWord: Record<ApiKeyRole, Role> = {
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};

/**
 * Tells good API keys from others. A key that was seen before costs no read of the database; which ones are kept is
 * bounded, and those with open streams are always among them.
 */
export class KeyVerifier {
  readonly #keys: Pick<Storage["keys"], "get">;
  readonly #clock: Clock;
  readonly #expiries: Expiries;
  readonly #maxKnown: number;
  readonly #known = new Map<string, KnownKey>();
  #revocations = 0;

  constructor({ storage, clock, expiries, maxKnown = 10_000 }: KeyVerifierParts) {
    this.#keys = storage.keys;
    this.#clock = clock;
    this.#expiries = expiries;
    this.#maxKnown = maxKnown;
  }

  /** The verdict on a key that is in memory. Undefined: it is not. */
  verifyKnown({ id, secret }: ApiKeyParts): Verdict | undefined {
    const known = this.#known.get(id);
    return known === undefined ? undefined : this.#verdict(id, known, secret);
  }

  /** The verdict on any key. Rejects with STORAGE_UNAVAILABLE. */
  async verify({ id, secret }: ApiKeyParts): Promise<Verdict> {
    for (;;) {
      const revocations = this.#revocations;
      const record = await this.#keys.get(id);
      if (record === undefined) return { kind: "refused", cause: "UNKNOWN" };
      // What was read while some key was revoked may be of before that.
      if (revocations === this.#revocations) return this.#verdict(id, this.#remember(record), secret);
    }
  }

  /** A key is revoked: from now on it is refused, and its streams end. */
  revoked(id: string): void {
    this.#revocations += 1;
    const known = this.#known.get(id);
    if (known !== undefined) {
      known.revoked = true;
      known.credential.end(notValid());
    }
  }

  #verdict(id: string, known: KnownKey, secret: string): Verdict {
    if (!isKeySecret(secret, known.secretHash)) return { kind: "refused", cause: "UNKNOWN" };
    this.#known.delete(id);
    this.#known.set(id, known);
    const { credential, revoked, used } = known;
    if (revoked) return { kind: "refused", cause: "REVOKED" };
    if (credential.expireTime !== undefined && credential.expireTime <= this.#clock.now()) {
      return { kind: "refused", cause: "EXPIRED" };
    }
    known.used = true;
    return { kind: "good", credential, firstUse: !used };
  }

  #remember(record: ApiKeyRecord): KnownKey {
    const already = this.#known.get(record.id);
    if (already !== undefined) return already;
    this.#makeRoom();
    const known = {
      secretHash: record.secretHash,
      credential: new Credential(identityOf(record), record.expireTime, this.#expiries),
      revoked: record.revokeTime !== undefined,
      used: record.lastUseTime !== undefined,
    };
    this.#known.set(record.id, known);
    return known;
  }

  #makeRoom(): void {
    for (const [id, { credential }] of this.#known) {
      if (this.#known.size < this.#maxKnown) return;
      if (!credential.inUse) this.#known.delete(id);
    }
  }
}

function identityOf({ id, name, role, hostSelector }: ApiKeyRecord) {
  return {
    name,
    role: roleOfWord[role],
    keyId: id,
    account: id,
    scope: hostSelector.length === 0 ? undefined : new HostScope(hostSelector),
  };
}
