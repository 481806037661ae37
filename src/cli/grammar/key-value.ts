import { InvalidArgumentError } from "commander";

/** Splits "key=value" at the first "="; without one the value is undefined. Throws `InvalidArgumentError` for an empty key. */
export function parseKeyValue(text: string): readonly [key: string, value: string | undefined] {
  const at = text.indexOf("=");
  const key = at < 0 ? text : text.slice(0, at);
  if (key === "") {
    throw new InvalidArgumentError('Write it as "key=value".');
  }
  return [key, at < 0 ? undefined : text.slice(at + 1)];
}

/** Collects the values of an option that may be given several times, each read by `parse`. */
export function collect<Value>(parse: (text: string) => Value): (text: string, sofar?: Value[]) => Value[] {
  return (text, sofar = []) => [...sofar, parse(text)];
}
