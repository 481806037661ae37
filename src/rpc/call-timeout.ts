/** The longest that a timer of Node can hold, in milliseconds; a longer one would end a call at once. */
export const maxTimeoutMs = 2_147_483_647;

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Shortens a timeout in the headers of a call to the longest that can be kept, which is 24 days. Connect starts its timer before it looks
 * whether the timeout is too long. What is no timeout is left as it is, to be refused.
 */
export function shortenTimeout(headers: Headers): void {
  const [, digits = "0", unit = "m"] = /^(\d{1,8})([HMSmun])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  if (Number(digits) * (unitMs[unit] ?? 1) > maxTimeoutMs) {
    headers.set("grpc-timeout", `${Math.floor(maxTimeoutMs / 1_000)}S`);
  }
  const connectMs = headers.get("connect-timeout-ms") ?? "";
  if (/^\d{1,10}$/.test(connectMs) && Number(connectMs) > maxTimeoutMs) {
    headers.set("connect-timeout-ms", `${maxTimeoutMs}`);
  }
}
