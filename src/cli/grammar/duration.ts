import { InvalidArgumentError } from "commander";

const factors = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const part = /(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)/gy;
const longestMs = 365 * factors.d;

/**
 * Milliseconds from a duration as docker writes it: "30s", "1m30s", "500ms", and "7d" besides. A bare number is
 * seconds, as with docker's --time. Throws `InvalidArgumentError`.
 */
export function parseDuration(text: string): number {
  const written = /^\d{1,9}(\.\d{1,6})?$/.test(text) ? `${text}s` : text;
  const parts = [...written.matchAll(part)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== written) {
    throw new InvalidArgumentError(
      'Write a duration as a number with ms, s, m, h or d, for example "1m30s".',
    );
  }
  const total = parts.reduce((sum, [, count, unit]) => sum + Number(count) * factorOf(unit), 0);
  if (total > longestMs) {
    throw new InvalidArgumentError("A duration is a year at most.");
  }
  return Math.round(total);
}

function factorOf(unit: string | undefined): number {
  return factors[unit as keyof typeof factors];
}
