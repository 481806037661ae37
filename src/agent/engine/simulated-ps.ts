import { basename } from "node:path/posix";
import { failureFromAnswer } from "./docker-errors.ts";
import type { EngineProcesses } from "./engine.ts";

/** A process as `ps` is to tell of it. */
export interface SimulatedPsProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly command: readonly string[];
}

type Column = readonly [title: string, value: (process: SimulatedPsProcess) => string];

const commandLine = ({ command }: SimulatedPsProcess) => command.join(" ");
const columns = {
  user: ["USER", () => "root"],
  uid: ["UID", () => "0"],
  pid: ["PID", ({ pid }) => `${pid}`],
  ppid: ["PPID", ({ ppid }) => `${ppid}`],
  tty: ["TT", () => "?"],
  time: ["TIME", () => "00:00:00"],
  stat: ["STAT", () => "S"],
  comm: ["COMMAND", ({ command: [name = ""] }) => basename(name)],
  args: ["COMMAND", commandLine],
  cmd: ["CMD", commandLine],
} as const satisfies Record<string, Column>;

const full: readonly Column[] = [
  ["UID", () => "root"],
  columns.pid,
  columns.ppid,
  ["C", () => "0"],
  ["STIME", () => "00:00"],
  ["TTY", () => "?"],
  columns.time,
  columns.cmd,
];
const byUser: readonly Column[] = [
  columns.user,
  columns.pid,
  ["%CPU", () => "0.0"],
  ["%MEM", () => "0.0"],
  ["VSZ", () => "0"],
  ["RSS", () => "0"],
  ["TTY", () => "?"],
  columns.stat,
  ["START", () => "00:00"],
  ["TIME", () => "0:00"],
  ["COMMAND", commandLine],
];

/** What `ps` on the host would tell of a container's processes. Knows "-ef", "aux" and "-o"; throws what Docker would say to nonsense. */
export function processTable(processes: readonly SimulatedPsProcess[], psOptions: string): EngineProcesses {
  const chosen = columnsFrom(psOptions.trim().split(/\s+/));
  if (!chosen.some(([title]) => title === "PID")) {
    throw failureFromAnswer(500, "Couldn't find PID field in ps output");
  }
  return {
    titles: chosen.map(([title]) => title),
    processes: processes.map((process) => chosen.map(([, value]) => value(process))),
  };
}

function columnsFrom(words: readonly string[]): readonly Column[] {
  if (words.some((word) => word.startsWith("--"))) {
    throw failureFromAnswer(500, "ps: error: unknown gnu long option");
  }
  const formats = words.flatMap((word, index) => (/^-[eA]*o$/.test(word) ? [words[index + 1] ?? ""] : []));
  if (formats.length === 0) {
    return words.some((word) => /^-?a?u?x?$/.test(word) && word.includes("u")) ? byUser : full;
  }
  return formats.join(",").split(",").map(columnNamed);
}

function columnNamed(name: string): Column {
  if (!Object.hasOwn(columns, name)) {
    throw failureFromAnswer(500, `ps: error: unknown user-defined format specifier "${name}"`);
  }
  return columns[name as keyof typeof columns];
}
