/** A registration token, taken apart. */
export interface RegistrationToken {
  /** Digest of the CA that the agent is to trust, base64url of SHA-256; "none" where the listener has no TLS. */
  readonly caDigest: string;
  /** 256 random bits, base64url. */
  readonly secret: string;
}

/** The digest of a control plane that has no TLS. */
export const noCaDigest = "none";

const form = /^fl1\.(none|[A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/;

/** As people and agents hand it on: "fl1.<CA digest>.<secret>". */
export function registrationTokenText(token: RegistrationToken): string {
  return `fl1.${token.caDigest}.${token.secret}`;
}

/** Takes a token apart. Undefined: it is malformed. */
export function parseRegistrationToken(text: string): RegistrationToken | undefined {
  const [, caDigest, secret] = form.exec(text.trim()) ?? [];
  return caDigest === undefined || secret === undefined ? undefined : { caDigest, secret };
}
