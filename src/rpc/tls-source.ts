import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";

/** Where a listener gets its certificate from. It may change while the listener serves; open connections keep theirs. */
export interface TlsSource {
  /** Certificate chain and key as they are now. */
  current(): SecureContextOptions;
  /** Calls the listener after each change. Returns how to take it off again. */
  onChange(listener: () => void): () => void;
}

/** What every listener with TLS insists on. TLS 1.3 is preferred by both sides where both have it. */
export const tlsPolicy = {
  minVersion: "TLSv1.2",
  // RFC 9113 section 9.2.1 forbids it, and nobody asks for it but to wear the server out.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  // Forward secrecy and authenticated encryption only, RFC 9325 section 4.2; the suites of TLS 1.3 are all of that kind.
  ciphers: [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ].join(":"),
} as const satisfies SecureContextOptions;
