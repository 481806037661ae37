import type { SecureContextOptions } from "node:tls";
import type { TlsSource } from "../../rpc/tls-source.ts";

/** What the control plane shows of itself on both listeners. */
export interface TlsIdentity extends TlsSource {
  /** What registration tokens and key files carry of the authority to trust: SHA-256 of its public key, base64url. */
  readonly authorityDigest: string;
  /** The authority's certificate in PEM, for those who are to trust it. */
  readonly authorityCertificate: string;
  /** Stops timers. */
  close(): void;
}

/** A source that tells its listeners when what it has is replaced. */
export class ChangingTls implements TlsSource {
  readonly #listeners = new Set<() => void>();
  #options: SecureContextOptions;

  constructor(options: SecureContextOptions) {
    this.#options = options;
  }

  current(): SecureContextOptions {
    return this.#options;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Replaces what it has. New connections get it; open ones keep theirs. */
  replace(options: SecureContextOptions): void {
    this.#options = options;
    for (const tell of this.#listeners) tell();
  }
}
