import type { Logger } from "pino";
import { apiKeyPrefix, parseApiKey } from "../../domain/api-key.ts";
import { FleetError } from "../../domain/errors.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { FailureTally } from "../../resilience/failure-tally.ts";
import { addressSite } from "../../rpc/address-site.ts";
import type { Caller } from "../../rpc/caller.ts";
import { doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import { notValid } from "./credential.ts";
import type { KeyUses } from "./key-uses.ts";
import type { KeyVerifier, RefusalCause, Verdict } from "./key-verifier.ts";

/** Finds out who has a token of somebody else's making. */
export interface TokenVerifier {
  /** The verdict on a token that was good a short while ago. Undefined: it has to be looked at. */
  verifyKnown(token: string): Verdict | undefined;
  /** The verdict on a token. Rejects with SERVER_UNREACHABLE when who made it does not answer. */
  verify(token: string): Promise<Verdict>;
}

/** What an authenticator needs. */
export interface AuthenticatorParts {
  readonly verifier: Pick<KeyVerifier, "verifyKnown" | "verify">;
  /** For tokens that are no API keys. Undefined: there are none. */
  readonly tokens?: TokenVerifier | undefined;
  readonly uses: KeyUses;
  readonly events: Pick<EventLog, "record">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How many attempts may fail from one address before the rest of a minute is spoilt for it. */
export const maxFailuresEach = 20;

/**
 * Says who calls, by "Authorization: Bearer <API key or token>". What is not good is refused with one text, whyever it is not; from
 * an address where that happens too often only keys that are known already are let through for the rest of a minute.
 */
export class Authenticator {
  readonly #parts: AuthenticatorParts;
  readonly #failures: FailureTally;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
    this.#failures = new FailureTally(parts);
  }

  /** The caller. Throws UNAUTHENTICATED, OVERLOADED, STORAGE_UNAVAILABLE. */
  authenticate(headers: Headers, address: string): Caller | Promise<Caller> {
    const token = bearerToken(headers);
    if (token === undefined) throw missing();
    const { verifier, tokens } = this.#parts;
    const parts = parseApiKey(token);
    const known = parts === undefined ? tokens?.verifyKnown(token) : verifier.verifyKnown(parts);
    return known?.kind === "good" ? this.#admit(known, address) : this.#look(token, known, address);
  }

  async #look(token: string, known: Verdict | undefined, address: string): Promise<Caller> {
    const site = addressSite(address);
    if (this.#failures.count(site) >= maxFailuresEach) throw tooMany(this.#failures.endsInMs(site));
    // Before it is known, so that many at once are not looked at all.
    const attempts = this.#failures.failed(site);
    let verdict: Verdict;
    try {
      verdict = known ?? (await this.#verify(token));
    } catch (error) {
      this.#failures.forgive(site);
      throw error;
    }
    if (verdict.kind === "refused") throw this.#refuse(verdict.cause, attempts, address);
    this.#failures.forgive(site);
    return this.#admit(verdict, address);
  }

  async #verify(token: string): Promise<Verdict> {
    const { verifier, tokens } = this.#parts;
    const parts = parseApiKey(token);
    if (parts !== undefined) return verifier.verify(parts);
    return tokens === undefined || token.startsWith(apiKeyPrefix)
      ? { kind: "refused", cause: "MALFORMED" }
      : tokens.verify(token);
  }

  #admit({ credential, firstUse }: Verdict & { readonly kind: "good" }, address: string): Caller {
    const { uses, events } = this.#parts;
    const { caller } = credential;
    if (caller.keyId !== undefined) {
      uses.note(caller.keyId);
      if (firstUse) {
        events.record({
          type: EventType.API_KEY_FIRST_USED,
          ...doneBy({ name: caller.name, keyId: caller.keyId, address }),
        });
        // Written at once, so that the first use is the first one also after a crash.
        void uses.write();
      }
    }
    return caller;
  }

  #refuse(cause: RefusalCause, attempts: number, address: string): FleetError {
    const { events, logger } = this.#parts;
    if (attempts === 1 || attempts === maxFailuresEach) {
      events.record({
        type: EventType.ACCESS_REFUSED,
        attributes: { cause, address, attempts: `${attempts}` },
      });
      logger.warn({ address, cause, attempts }, "calls are refused, because their credentials are not valid");
    }
    return notValid();
  }
}

function bearerToken(headers: Headers): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(headers.get("authorization") ?? "")?.[1];
}

function missing(): FleetError {
  return new FleetError(
    "UNAUTHENTICATED",
    'the call says not who makes it; send an API key as "Authorization: Bearer flk_…"',
  );
}

function tooMany(waitMs: number): FleetError {
  return new FleetError(
    "OVERLOADED",
    `too many calls from this address had credentials that are not valid; try again in ${Math.ceil(waitMs / 1_000)} s`,
    { retryAfterMs: Math.ceil(waitMs) },
  );
}
