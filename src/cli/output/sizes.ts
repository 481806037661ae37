const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** Bytes as docker shows memory, for example "1.5MiB": four digits, powers of 1,024. */
export function binarySize(bytes: bigint | number): string {
  return size(Number(bytes), 1_024, binaryUnits, 4);
}

/** Bytes as docker shows what was transferred, for example "1.5MB": three digits, powers of 1,000. */
export function decimalSize(bytes: bigint | number): string {
  return size(Number(bytes), 1_000, decimalUnits, 3);
}

function size(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  return `${Number(value.toPrecision(digits))}${units[unit]}`;
}
