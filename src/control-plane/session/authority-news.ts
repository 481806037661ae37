import { X509Certificate } from "node:crypto";
import { publicKeyDigest } from "../../rpc/public-key-digest.ts";
import type { OwnAuthority } from "../certificates/own-authority.ts";
import type { AgentSession } from "./agent-session.ts";
import { trustItem } from "./control-items.ts";
import type { Sessions } from "./session-registry.ts";

/** What telling agents of authorities needs. */
export interface AuthorityNewsParts {
  /** Undefined: agents trust by other means. */
  readonly authority: Pick<OwnAuthority, "trusted"> | undefined;
  readonly sessions: Pick<Sessions, "all">;
}

/** Tells agents which authorities to trust: all that are connected when that changes, and later those that were away. */
export class AuthorityNews {
  readonly #parts: AuthorityNewsParts;
  #told: { readonly trusted: OwnAuthority["trusted"]; readonly digests: string[] } | undefined;
  #item: Uint8Array | undefined;

  constructor(parts: AuthorityNewsParts) {
    this.#parts = parts;
  }

  /** The newest authority, in force or to be: SHA-256 of its public key, in hex. Undefined: there is none of our own. */
  get newest(): string | undefined {
    return this.#digests()?.at(-1);
  }

  /** Tells the agent of a new session, which trusts these, when it should trust others. One that names none has other means. */
  greet(session: AgentSession, trusted: readonly string[]): void {
    const digests = this.#digests();
    const newest = digests?.at(-1);
    if (digests === undefined || newest === undefined || trusted.length === 0) return;
    const isRight = trusted.includes(newest) && trusted.every((digest) => digests.includes(digest));
    if (!isRight) this.#tell(session);
  }

  /** Tells every agent that is connected. */
  announce(): void {
    if (this.#digests() === undefined) return;
    for (const session of this.#parts.sessions.all()) this.#tell(session);
  }

  #tell(session: AgentSession): void {
    if (this.#item !== undefined && !session.send(this.#item)) {
      session.logger.warn("the agent could not be told which authorities to trust; its next session will");
    }
  }

  #digests(): readonly string[] | undefined {
    const trusted = this.#parts.authority?.trusted;
    if (trusted === undefined) return undefined;
    if (this.#told === undefined || !isSame(this.#told.trusted, trusted)) {
      const certificates = trusted.map(({ certificate }) => new X509Certificate(certificate));
      this.#told = {
        trusted,
        digests: certificates.map((certificate) => publicKeyDigest(certificate).toString("hex")),
      };
      this.#item = trustItem(
        trusted.map(({ endorsement }, index) => ({
          certificate: certificates[index]?.raw ?? new Uint8Array(),
          endorsement: endorsement === undefined ? new Uint8Array() : new X509Certificate(endorsement).raw,
        })),
      );
    }
    return this.#told.digests;
  }
}

/** Digests as the database keeps them. */
export function hexDigests(digests: readonly Uint8Array[]): string[] {
  return digests.map((digest) => Buffer.from(digest).toString("hex"));
}

function isSame(one: OwnAuthority["trusted"], other: OwnAuthority["trusted"]): boolean {
  const isEqual = ({ certificate }: OwnAuthority["trusted"][0], index: number) =>
    certificate === other[index]?.certificate;
  return one.length === other.length && one.every(isEqual);
}
