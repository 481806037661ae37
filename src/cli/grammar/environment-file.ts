import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import { parseKeyValue } from "./key-value.ts";

/** A variable; undefined means "as it is where the command line runs", as with docker's `-e NAME`. */
export type Variable = readonly [name: string, value: string | undefined];

/**
 * The variables of a file in docker's --env-file form: one NAME=value or NAME a line, values as they stand, quotes
 * included; empty lines and lines that begin with # are skipped. Throws `InvalidArgumentError`.
 */
export function parseEnvironmentText(text: string): Variable[] {
  return text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const variable = parseKeyValue(line);
      if (/\s/.test(variable[0])) {
        throw new InvalidArgumentError(`The variable name "${variable[0]}" contains white space.`);
      }
      return variable;
    });
}

/** Reads such a file. Throws `InvalidArgumentError`, also when the file cannot be read. */
export function readEnvironmentFile(path: string): Variable[] {
  return parseEnvironmentText(readText(path));
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new InvalidArgumentError(
      `It cannot be read: ${error instanceof Error ? error.message : "unknown"}.`,
    );
  }
}
