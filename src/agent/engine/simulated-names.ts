/** Gives numbers from 0 (included) to 1 (excluded), like Math.random. */
export type Random = () => number;

const manners = ["brisk", "calm", "curious", "gentle", "lucid", "merry", "patient", "quiet", "sturdy", "wry"];
const animals = ["badger", "crane", "dolphin", "gecko", "heron", "ibex", "lynx", "otter", "puffin", "tapir"];

/** A name for a container whose creator gave none, with a number that makes a repeat unlikely. */
export function inventName(random: Random): string {
  return `${pick(manners, random)}_${pick(animals, random)}_${Math.floor(random() * 10_000)}`;
}

/** So many hexadecimal digits. */
export function inventHex(digits: number, random: Random): string {
  return Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("");
}

function pick(words: readonly string[], random: Random): string {
  return words[Math.floor(random() * words.length)] ?? "";
}
