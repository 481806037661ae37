import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type LogRecord, OutputStream } from "../../gen/fairlead/container/v1/log_pb.js";
import type { LogBatch, LogGap, LogSource } from "../../gen/fairlead/container/v1/log_service_pb.js";
import type { Invocation } from "../invocation.ts";
import { escapeText } from "./escape.ts";
import { formatJsonLine } from "./json.ts";
import { momentInWords } from "./times.ts";
import { writeWhenRoom } from "./write-when-room.ts";

/** How to print. */
export interface LogPrinterOptions {
  readonly timestamps: boolean;
  /** Of several containers: each line begins with where it is from. */
  readonly several: boolean;
}

// A line of one container is put together before it is printed among those of others; a longer one is broken here.
const maxLineBytes = 256 * 1024;
const newline = 0x0a;
const colours = ["cyan", "yellow", "green", "magenta", "blue", "red"] as const;

/** Something for one output. */
interface Piece {
  readonly stream: OutputStream;
  readonly bytes: Uint8Array;
}

interface OpenLine {
  readonly stream: OutputStream;
  readonly pieces: Uint8Array[];
  bytes: number;
  readonly prefix: string;
}

/** Prints logs as they come, at the speed of whoever reads: one log byte for byte, several line by line. */
export class LogPrinter {
  readonly #invocation: Invocation;
  readonly #options: LogPrinterOptions;
  readonly #lines = new Map<string, OpenLine>();
  readonly #labels = new Map<string, string>();
  /** Whether the next byte of an output begins a line. */
  readonly #atStart = new Map<OutputStream, boolean>();

  constructor(invocation: Invocation, options: LogPrinterOptions) {
    this.#invocation = invocation;
    this.#options = options;
  }

  /** Prints records. Resolves when there is room for more. */
  async batch({ source, records }: LogBatch): Promise<void> {
    const pieces: Piece[] = [];
    for (const record of records) {
      if (this.#invocation.json) pieces.push(jsonLine(source, record));
      else if (this.#options.several) pieces.push(...this.#among(source, record));
      else pieces.push(...this.#alone(record));
    }
    await this.#write(pieces);
  }

  /** Says that records are missing. */
  gap({ source, afterTime, beforeTime }: LogGap): void {
    const from = whose(source);
    if (this.#invocation.json) {
      const gap = { after: timeOf(afterTime), before: timeOf(beforeTime) };
      this.#invocation.printJsonLine({ ...from, gap });
      return;
    }
    const where = `${escapeText(from.host)}/${escapeText(from.container)}`;
    this.#invocation.environment.stderr.write(
      `fairlead: ${where}: the engine has thrown away what was written after ${momentInWords(afterTime)}\n`,
    );
  }

  /** Prints what is left of lines that have no end. */
  async end(): Promise<void> {
    const open = [...this.#lines.values()];
    this.#lines.clear();
    await this.#write(open.map((line) => wholeLine(line, true)));
  }

  *#alone({ stream, time, data }: LogRecord): Generator<Piece> {
    const begins = this.#atStart.get(stream) ?? true;
    this.#atStart.set(stream, data.at(-1) === newline);
    if (this.#options.timestamps && begins) yield { stream, bytes: Buffer.from(`${timeOf(time)} `) };
    yield { stream, bytes: data };
  }

  *#among(source: LogSource | undefined, { stream, time, data }: LogRecord): Generator<Piece> {
    const key = `${source?.containerId} ${stream}`;
    const line = this.#lines.get(key) ?? {
      stream,
      pieces: [],
      bytes: 0,
      prefix: this.#label(source) + (this.#options.timestamps ? `${timeOf(time)} ` : ""),
    };
    line.pieces.push(data);
    line.bytes += data.byteLength;
    const isWhole = data.at(-1) === newline;
    if (!isWhole && line.bytes < maxLineBytes) {
      this.#lines.set(key, line);
      return;
    }
    this.#lines.delete(key);
    yield wholeLine(line, !isWhole);
  }

  #label(source: LogSource | undefined): string {
    const id = source?.containerId ?? "";
    const known = this.#labels.get(id);
    if (known !== undefined) return known;
    const { host, container } = whose(source);
    const colour = colours[this.#labels.size % colours.length] ?? "cyan";
    const label = `${this.#invocation.colour(colour, `${escapeText(host)}/${escapeText(container)} |`)} `;
    this.#labels.set(id, label);
    return label;
  }

  /** What goes to one output without a break goes there at once. */
  async #write(pieces: readonly Piece[]): Promise<void> {
    const { environment } = this.#invocation;
    for (let from = 0; from < pieces.length; ) {
      const stream = pieces[from]?.stream;
      const next = pieces.findIndex((piece, index) => index > from && piece.stream !== stream);
      const run = pieces.slice(from, next === -1 ? undefined : next);
      const output = stream === OutputStream.STDERR ? environment.stderr : environment.stdout;
      await writeWhenRoom(output, Buffer.concat(run.map(({ bytes }) => bytes)), environment.signal);
      from += run.length;
    }
  }
}

function jsonLine(source: LogSource | undefined, { stream, time, data }: LogRecord): Piece {
  const text = Buffer.from(data).toString("utf8");
  const said = Buffer.from(text).equals(data) ? { text } : { data: Buffer.from(data).toString("base64") };
  const line = { ...whose(source), stream: streamWord(stream), time: timeOf(time), ...said };
  return { stream: OutputStream.STDOUT, bytes: Buffer.from(formatJsonLine(line)) };
}

function wholeLine({ stream, pieces, prefix }: OpenLine, needsEnd: boolean): Piece {
  const end = needsEnd ? [Buffer.from("\n")] : [];
  return { stream, bytes: Buffer.concat([Buffer.from(prefix), ...pieces, ...end]) };
}

function whose(source: LogSource | undefined) {
  return {
    host: source?.host?.name ?? "",
    container: source?.containerName ?? "",
    containerId: source?.containerId ?? "",
  };
}

function streamWord(stream: OutputStream): string {
  return stream === OutputStream.STDERR ? "stderr" : "stdout";
}

// To the nanosecond, with all nine digits, as docker writes it.
function timeOf(time: Timestamp | undefined): string {
  if (time === undefined) return "";
  const second = timestampDate(time).toISOString().slice(0, 19);
  return `${second}.${`${time.nanos}`.padStart(9, "0")}Z`;
}
