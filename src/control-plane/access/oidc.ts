import { hash } from "node:crypto";
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { Role } from "../../gen/fairlead/access/v1/role_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TokenVerifier } from "./authenticator.ts";
import { Credential, type Expiries } from "./credential.ts";
import type { Verdict } from "./key-verifier.ts";

/** Whose tokens are taken beside API keys. */
export interface OidcConfig {
  /** The issuer, an https URL (http only on loopback); its configuration is at "/.well-known/openid-configuration" below it. */
  readonly issuer: string;
  /** What tokens must be for. */
  readonly audience: string;
  /**
   * Which claim tells the role: "fairlead:viewer", "fairlead:operator" or "fairlead:admin", alone, in a list, or among
   * words. A claim inside of others is written with dots. Default: "roles".
   */
  readonly rolesClaim?: string;
}

/** What verifying tokens needs. */
export interface OidcParts extends OidcConfig {
  readonly expiries: Expiries;
  readonly clock: Clock;
  readonly logger: Logger;
}

type KeySet = ReturnType<typeof createRemoteJWKSet>;

// Asymmetric ones only: with a symmetric one, the issuer's public key would be a secret that everybody knows.
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const clockToleranceSeconds = 30;
const timeoutMs = 5_000;
const lookAgainMs = 10_000;
const maxKnown = 10_000;
const knownForMs = 5 * 60_000;

interface KnownToken {
  readonly verdict: Verdict;
  /** In milliseconds since the epoch. */
  readonly until: number;
}

const roleOfWord: ReadonlyMap<string, Role> = new Map([
  ["fairlead:viewer", Role.VIEWER],
  ["fairlead:operator", Role.OPERATOR],
  ["fairlead:admin", Role.ADMIN],
]);

/**
 * Verifies tokens of an OpenID Connect issuer. Its keys are fetched with the first token, kept, and fetched anew when a token
 * names another key. Throws INVALID_ARGUMENT for an issuer that is no such URL.
 */
export class OidcVerifier implements TokenVerifier {
  readonly #parts: OidcParts;
  readonly #known = new Map<string, KnownToken>();
  #keys: Promise<KeySet> | undefined;

  constructor(parts: OidcParts) {
    checkIssuer(parts.issuer);
    this.#parts = parts;
  }

  verifyKnown(token: string): Verdict | undefined {
    const known = this.#known.get(digestOf(token));
    return known !== undefined && this.#parts.clock.now() < known.until ? known.verdict : undefined;
  }

  /** The verdict on a token. Rejects with SERVER_UNREACHABLE when the issuer does not answer. */
  async verify(token: string): Promise<Verdict> {
    const { issuer, audience, clock, expiries } = this.#parts;
    try {
      const { payload } = await jwtVerify(token, await this.#keySet(), {
        issuer,
        audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(clock.now()),
        requiredClaims: ["exp", "sub"],
      });
      const expireTime = ((payload.exp ?? 0) + clockToleranceSeconds) * 1_000;
      const credential = new Credential(this.#identity(payload), expireTime, expiries);
      return this.#remember(token, { kind: "good", credential, firstUse: false }, expireTime);
    } catch (error) {
      return this.#refused(error);
    }
  }

  #remember(token: string, verdict: Verdict, expireTime: number): Verdict {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= maxKnown && oldest !== undefined) this.#known.delete(oldest);
    const until = Math.min(expireTime, this.#parts.clock.now() + knownForMs);
    this.#known.set(digestOf(token), { verdict, until });
    return verdict;
  }

  #identity(payload: JWTPayload) {
    const name = `oidc:${(payload.sub ?? "").slice(0, 200)}`;
    return { name, account: name, role: this.#roleOf(payload) };
  }

  // Who has no role is known, and may do nothing.
  #roleOf(payload: JWTPayload): Role {
    const words = wordsOf(claimAt(payload, this.#parts.rolesClaim ?? "roles"));
    return Math.max(Role.PUBLIC, ...words.map((word) => roleOfWord.get(word) ?? Role.PUBLIC));
  }

  #refused(error: unknown): Verdict {
    if (error instanceof errors.JWTExpired) return { kind: "refused", cause: "EXPIRED" };
    if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError) || isHttpFailure(error)) {
      this.#parts.logger.warn({ err: error, issuer: this.#parts.issuer }, "the OIDC issuer does not answer");
      throw new FleetError(
        "SERVER_UNREACHABLE",
        "tokens cannot be verified now, because their issuer does not answer",
        { retryAfterMs: 1_000, cause: error },
      );
    }
    const malformed = error instanceof errors.JWTInvalid || error instanceof errors.JWSInvalid;
    return { kind: "refused", cause: malformed ? "MALFORMED" : "UNKNOWN" };
  }

  #keySet(): Promise<KeySet> {
    if (this.#keys !== undefined) return this.#keys;
    const keys = this.#discover();
    this.#keys = keys;
    // A failure is forgotten after a while, and by nobody earlier, so that a dead issuer is not asked with every call.
    keys.catch(() => {
      setTimeout(() => (this.#keys = undefined), lookAgainMs).unref();
    });
    return keys;
  }

  async #discover(): Promise<KeySet> {
    const { issuer } = this.#parts;
    const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "error",
    });
    if (!response.ok) throw new Error(`its configuration is answered with ${response.status}`);
    const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
    if (found.issuer !== issuer || typeof found.jwks_uri !== "string") {
      throw new Error(`its configuration is not that of ${issuer}`);
    }
    checkIssuer(found.jwks_uri);
    return createRemoteJWKSet(new URL(found.jwks_uri), { timeoutDuration: timeoutMs });
  }
}

function digestOf(token: string): string {
  return hash("sha256", token, "base64");
}

function checkIssuer(issuer: string): void {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const isLoopback = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback)) return;
  throw new FleetError("INVALID_ARGUMENT", `the OIDC issuer ${JSON.stringify(issuer)} is not an https URL`);
}

function isHttpFailure(error: errors.JOSEError): boolean {
  // What the library throws for an answer of the issuer that is no key set has no class of its own.
  return error.code === "ERR_JOSE_GENERIC" || error instanceof errors.JWKSInvalid;
}

function claimAt(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  return path
    .split(".")
    .reduce<unknown>(
      (value, key) =>
        typeof value === "object" && value !== null && Object.hasOwn(value, key)
          ? (value as Readonly<Record<string, unknown>>)[key]
          : undefined,
      payload,
    );
}

function wordsOf(claim: unknown): string[] {
  if (typeof claim === "string") return claim.split(/\s+/);
  return Array.isArray(claim) ? claim.filter((word) => typeof word === "string") : [];
}
