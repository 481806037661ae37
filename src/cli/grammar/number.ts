import { InvalidArgumentError } from "commander";

/** A parser of whole numbers within bounds, both included. What it returns throws `InvalidArgumentError`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= least && number <= most)) {
      throw new InvalidArgumentError(`Write a whole number from ${least} to ${most}.`);
    }
    return number;
  };
}

/** Thousandths of a processor from docker's --cpus, for example "1.5". Throws `InvalidArgumentError`. */
export function parseCpus(text: string): number {
  const number = /^(\d{1,5}(\.\d{0,9})?|\.\d{1,9})$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= 0.001 && number <= 65_536)) {
    throw new InvalidArgumentError('Write a number of processors, for example "1.5" or "0.25".');
  }
  return Math.round(number * 1_000);
}
