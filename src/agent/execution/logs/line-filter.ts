import type { LogRecord, OutputStream } from "../../engine/engine-streams.ts";
import type { LineTest } from "./line-test.ts";

// Where a line is longer, its beginning decides.
const maxLineBytes = 1024 * 1024;
const newline = 0x0a;

interface OpenLine {
  readonly held: LogRecord[];
  bytes: number;
  /** Set when the line is known to be wanted or not, and goes on. */
  verdict: boolean | undefined;
}

/** Lets the records of wanted lines through. A line is judged when it is whole, so that its first parts wait for its last. */
export class LineFilter {
  readonly #test: LineTest;
  readonly #lines: Record<OutputStream, OpenLine> = { stdout: emptyLine(), stderr: emptyLine() };

  constructor(test: LineTest) {
    this.#test = test;
  }

  /** Whether records are held back that may yet come through. */
  get holds(): boolean {
    return this.#lines.stdout.held.length > 0 || this.#lines.stderr.held.length > 0;
  }

  /** Takes a record, and returns those that come through now. */
  take(record: LogRecord): readonly LogRecord[] {
    const line = this.#lines[record.stream];
    const isLast = record.data.at(-1) === newline;
    if (line.verdict !== undefined) {
      const { verdict } = line;
      if (isLast) this.#lines[record.stream] = emptyLine();
      return verdict ? [record] : [];
    }
    line.held.push(record);
    line.bytes += record.data.byteLength;
    if (!isLast && line.bytes < maxLineBytes) return [];
    const verdict = this.#judge(line);
    this.#lines[record.stream] = isLast ? emptyLine() : { held: [], bytes: 0, verdict };
    return verdict ? line.held : [];
  }

  /** The log is at its end: judges what has no newline. */
  end(): readonly LogRecord[] {
    const open = [this.#lines.stdout, this.#lines.stderr].filter(({ held }) => held.length > 0);
    this.#lines.stdout = emptyLine();
    this.#lines.stderr = emptyLine();
    return open.filter((line) => this.#judge(line)).flatMap(({ held }) => held);
  }

  #judge({ held }: OpenLine): boolean {
    const text = Buffer.concat(held.map(({ data }) => data)).toString("utf8");
    return this.#test(text.replace(/\r?\n$/, ""));
  }
}

function emptyLine(): OpenLine {
  return { held: [], bytes: 0, verdict: undefined };
}
