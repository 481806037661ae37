import { X509Certificate } from "node:crypto";
import type { Clock } from "../../resilience/clock.ts";
import { publicKeyDigest } from "../../rpc/public-key-digest.ts";
import type { OwnAuthority } from "./own-authority.ts";

/** What agents' certificates need. */
export interface AgentCertificatesParts {
  /** Who signs them. */
  readonly authority: Pick<OwnAuthority, "issueAgent" | "trusted" | "authorityDigest">;
  /** Whether a reconnection without one is refused. */
  readonly required: boolean;
  readonly clock: Clock;
}

/** A certificate that was issued, and until when it is good, in milliseconds since the epoch. */
export interface IssuedCertificate {
  readonly der: Uint8Array;
  readonly expireTime: number;
  readonly authorityDigest: string;
}

/** What became of looking at the certificate of a connection. */
export type Verdict =
  | {
      readonly kind: "good";
      readonly expireTime: number;
      /** The authority that signed it. */
      readonly authorityDigest: string;
      /** That authority is in force, and not about to go. */
      readonly lasts: boolean;
    }
  | { readonly kind: "bad"; readonly cause: "MISSING" | "UNTRUSTED" | "EXPIRED" | "OTHER_AGENT" };

const clientAuthentication = "1.3.6.1.5.5.7.3.2";

/** The certificates that agents show in TLS handshakes: issues them, and judges those that are shown. */
export class AgentCertificates {
  readonly required: boolean;
  readonly #authority: AgentCertificatesParts["authority"];
  readonly #clock: Clock;

  constructor({ authority, required, clock }: AgentCertificatesParts) {
    this.required = required;
    this.#authority = authority;
    this.#clock = clock;
  }

  /** Whether a certificate is this agent's. The TLS handshake has shown that whoever is there has its private key. */
  judge(shown: X509Certificate | undefined, agentId: string): Verdict {
    if (shown === undefined) return { kind: "bad", cause: "MISSING" };
    const signer = this.#authority.trusted
      .map(({ certificate }) => new X509Certificate(certificate))
      .find((authority) => shown.checkIssued(authority) && shown.verify(authority.publicKey));
    // Its type leaves out that a certificate may say nothing of it.
    const purposes: readonly string[] | undefined = shown.keyUsage;
    const isForClients = purposes?.includes(clientAuthentication) ?? false;
    if (signer === undefined || shown.ca || !isForClients) {
      return { kind: "bad", cause: "UNTRUSTED" };
    }
    if (shown.subject !== `CN=${agentId}`) return { kind: "bad", cause: "OTHER_AGENT" };
    const now = this.#clock.now();
    const expireTime = shown.validToDate.getTime();
    if (now < shown.validFromDate.getTime() || now > expireTime) return { kind: "bad", cause: "EXPIRED" };
    const authorityDigest = publicKeyDigest(signer).toString("base64url");
    return {
      kind: "good",
      expireTime,
      authorityDigest,
      lasts: authorityDigest === this.#authority.authorityDigest,
    };
  }

  /** Issues one to an agent that has proved who it is. Rejects with INVALID_ARGUMENT for a request that cannot be granted. */
  async issue(request: Uint8Array, agentId: string): Promise<IssuedCertificate> {
    const { authorityDigest } = this.#authority;
    const { raw, validToDate } = new X509Certificate(await this.#authority.issueAgent(request, agentId));
    return { der: Uint8Array.from(raw), expireTime: validToDate.getTime(), authorityDigest };
  }
}
