/** An API key, taken apart. */
export interface ApiKeyParts {
  /** Which key. No secret. */
  readonly id: string;
  /** 256 random bits, base64url. */
  readonly secret: string;
}

/** What every API key begins with, so that people and scanners for leaked secrets know one when they see it. */
export const apiKeyPrefix = "flk_";

const form = /^flk_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** As callers present it: "flk_<id>_<secret>". */
export function apiKeyText({ id, secret }: ApiKeyParts): string {
  return `${apiKeyPrefix}${id}_${secret}`;
}

/** Takes a key apart. Undefined: it is malformed. */
export function parseApiKey(text: string): ApiKeyParts | undefined {
  const [, id, secret] = form.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}
