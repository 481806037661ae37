import { InvalidArgumentError } from "commander";

const factors = { "": 1n, k: 1n << 10n, m: 1n << 20n, g: 1n << 30n, t: 1n << 40n } as const;
const size = /^(\d{1,15})(?:\.(\d{1,6}))?\s?([kmgt]?)i?b?$/;

/** Bytes from a size as docker writes it: "512m", "1.5g", "64kb", "1048576". Throws `InvalidArgumentError`. */
export function parseSize(text: string): bigint {
  const [, whole, fraction = "", unit] = size.exec(text.toLowerCase()) ?? [];
  if (whole === undefined || !isUnit(unit)) {
    throw new InvalidArgumentError('Write a size as a number with b, k, m, g or t, for example "512m".');
  }
  const scale = 10n ** BigInt(fraction.length);
  return (BigInt(whole + fraction) * factors[unit]) / scale;
}

function isUnit(text: string | undefined): text is keyof typeof factors {
  return text !== undefined && text in factors;
}
