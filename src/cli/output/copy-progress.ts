import { Presets, SingleBar } from "cli-progress";
import type { Environment } from "../environment.ts";
import { escapeText } from "./escape.ts";
import { decimalSize } from "./sizes.ts";

/** Tells a person how far a copy is; nobody else. */
export class CopyProgress {
  readonly #bar: SingleBar | undefined;
  #bytes = 0;

  /** Of an unknown total, only the bytes so far are shown. */
  constructor(
    { stderr, isErrorTTY }: Environment,
    {
      label,
      total,
      quiet,
    }: { readonly label: string; readonly total: number | undefined; readonly quiet: boolean },
  ) {
    if (quiet || !isErrorTTY) return;
    const format =
      total === undefined
        ? `${escapeText(label)}  {done}`
        : `${escapeText(label)}  [{bar}] {percentage}%  {done}`;
    this.#bar = new SingleBar(
      { format, stream: stderr as NodeJS.WritableStream, hideCursor: true, clearOnComplete: true, fps: 5 },
      Presets.legacy,
    );
    this.#bar.start(total ?? 0, 0, { done: decimalSize(0) });
  }

  /** How much was copied so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The same pieces, counted. */
  async *count(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      yield chunk;
      this.#bytes += chunk.byteLength;
      this.#bar?.update(Math.min(this.#bytes, this.#bar.getTotal() || this.#bytes), {
        done: decimalSize(this.#bytes),
      });
    }
  }

  /** Takes it off the screen. */
  stop(): void {
    this.#bar?.stop();
  }
}
