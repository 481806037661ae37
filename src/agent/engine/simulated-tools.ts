import { basename } from "node:path/posix";
import type { OutputStream } from "./engine-streams.ts";
import type { SimulatedFiles } from "./simulated-files.ts";

/** What a simulated tool has around it. Everything rejects once its process has ended. */
export interface SimulatedSurroundingsOfTool {
  readonly environment: Readonly<Record<string, string>>;
  readonly files: SimulatedFiles;
  /** The size of its terminal now. Undefined: it has none. */
  readonly size: { readonly columns: number; readonly rows: number } | undefined;
  /** Resolves when there is room for more. */
  write(stream: OutputStream, data: Uint8Array): Promise<void>;
  /** Undefined at the end of its input. */
  read(): Promise<Uint8Array | undefined>;
  sleep(milliseconds: number): Promise<void>;
}

/** A tool at work. Resolves to its exit code. */
export type SimulatedTool = (
  words: readonly string[],
  stream: OutputStream,
  io: SimulatedSurroundingsOfTool,
) => Promise<number>;

const writeBytes = 16 * 1024;

/** The tool of this name or path. Undefined: there is none. */
export function toolOf(name: string): SimulatedTool | undefined {
  return tools.get(basename(name));
}

const tools = new Map<string, SimulatedTool>([
  ["true", async () => 0],
  [":", async () => 0],
  ["false", async () => 1],
  ["echo", echo],
  ["printf", printf],
  ["cat", cat],
  ["env", env],
  ["head", head],
  ["yes", yes],
  ["sleep", sleep],
  ["stty", stty],
  ["touch", touch],
  ["rm", rm],
]);

async function echo([, ...words]: readonly string[], ...[stream, io]: Rest): Promise<number> {
  const silent = words[0] === "-n";
  const text = silent ? words.slice(1).join(" ") : `${words.join(" ")}\n`;
  await io.write(stream, Buffer.from(text));
  return 0;
}

type Rest = [stream: OutputStream, io: SimulatedSurroundingsOfTool];

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\" };

async function printf([, format = "", ...values]: readonly string[], ...[stream, io]: Rest): Promise<number> {
  const left = [...values];
  const latin1 = Buffer.from(format)
    .toString("latin1")
    .replace(/\\([0-7]{1,3})|\\([nrt\\])|%(s|%)/g, (_, octal?: string, escape?: string, sign?: string) => {
      if (octal !== undefined) {
        return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      }
      if (escape !== undefined) {
        return escapes[escape] ?? "";
      }
      return sign === "%" ? "%" : Buffer.from(left.shift() ?? "").toString("latin1");
    });
  await io.write(stream, Buffer.from(latin1, "latin1"));
  return 0;
}

async function cat(words: readonly string[], ...[stream, io]: Rest): Promise<number> {
  if (words.length > 1) {
    await io.write("stderr", Buffer.from(`cat: can't open '${words[1]}': No such file or directory\n`));
    return 1;
  }
  for (let data = await io.read(); data !== undefined; data = await io.read()) {
    await io.write(stream, data);
  }
  return 0;
}

async function env(_: readonly string[], ...[stream, io]: Rest): Promise<number> {
  const lines = Object.entries(io.environment).map(([name, value]) => `${name}=${value}\n`);
  await io.write(stream, Buffer.from(lines.join("")));
  return 0;
}

/** Knows "head -c COUNT /dev/zero" alone. */
async function head([, option, count, file]: readonly string[], ...[stream, io]: Rest): Promise<number> {
  if (option !== "-c" || file !== "/dev/zero") {
    await io.write("stderr", Buffer.from(`head: ${file ?? ""}: No such file or directory\n`));
    return 1;
  }
  for (let left = Number(count) || 0; left > 0; left -= writeBytes) {
    await io.write(stream, Buffer.alloc(Math.min(left, writeBytes)));
  }
  return 0;
}

async function yes([, ...words]: readonly string[], ...[stream, io]: Rest): Promise<number> {
  const line = `${words.join(" ") || "y"}\n`;
  const block = Buffer.from(line.repeat(Math.max(1, Math.floor(writeBytes / line.length))));
  for (;;) {
    await io.write(stream, block);
    // A reader that is always there would leave nobody else a turn.
    await io.sleep(0);
  }
}

async function sleep([, text = ""]: readonly string[], ...[, io]: Rest): Promise<number> {
  const seconds = text === "infinity" ? longestSleepSeconds : Number.parseFloat(text) || 0;
  await io.sleep(Math.min(longestSleepSeconds, Math.max(0, seconds)) * 1000);
  return 0;
}

/** Longer than this no timer can wait. */
const longestSleepSeconds = 2_147_483;

/** Knows "stty size" alone. */
async function stty(_: readonly string[], ...[stream, io]: Rest): Promise<number> {
  if (io.size === undefined) {
    await io.write("stderr", Buffer.from("stty: standard input: Not a tty\n"));
    return 1;
  }
  await io.write(stream, Buffer.from(`${io.size.rows} ${io.size.columns}\n`));
  return 0;
}

/** Paths are absolute. */
async function touch([, ...paths]: readonly string[], ...[, io]: Rest): Promise<number> {
  paths.forEach((path) => io.files.touch(path));
  return 0;
}

/** Options are not looked at: nothing is asked, and nothing is missed. */
async function rm([, ...words]: readonly string[], ...[, io]: Rest): Promise<number> {
  words.filter((word) => !word.startsWith("-")).forEach((path) => io.files.remove(path));
  return 0;
}
