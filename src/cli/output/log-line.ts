import { escapeText } from "./escape.ts";
import type { Meaning, Paint } from "./paint.ts";

const levels: readonly (readonly [least: number, word: string, meaning: Meaning])[] = [
  [50, "ERROR", "bad"],
  [40, "WARN", "busy"],
  [30, "INFO", "good"],
  [0, "DEBUG", "faint"],
];
const silent = new Set(["level", "time", "pid", "hostname", "msg"]);

/**
 * A line of pino's log as people like to read it: "12:00:05 INFO  the agent is online agent_id=…". Everything in
 * it is escaped, for much of a log is what others said. What is no such line comes back escaped. No line break.
 */
export function formatLogLine(json: string, paint: Paint): string {
  const entry = parse(json);
  if (entry === undefined) {
    return escapeText(json.trimEnd());
  }
  const level = Number(entry["level"]);
  const [, word, meaning] = levels.find(([least]) => level >= least) ?? [0, "LOG", "faint" as const];
  const facts = Object.entries(entry)
    .filter(([name, value]) => !silent.has(name) && value !== undefined)
    .map(([name, value]) => `${name}=${valueText(value)}`);
  const time = new Date(Number(entry["time"])).toTimeString().slice(0, 8);
  const message = escapeText(typeof entry["msg"] === "string" ? entry["msg"] : "");
  const tail = facts.length === 0 ? "" : ` ${paint("faint", escapeText(facts.join(" ")))}`;
  return `${paint("faint", time)} ${paint(meaning, word.padEnd(5))} ${message}${tail}`;
}

function parse(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

// Of an error the words; its stack is in the JSON log.
function valueText(value: unknown): string {
  if (typeof value === "object" && value !== null && "message" in value) {
    return JSON.stringify(value.message);
  }
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
