/** The beginning of what comes, up to so many bytes; the rest is counted out. */
export class BoundedBytes {
  readonly #limit: number;
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #truncated = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether something did not fit. */
  get truncated(): boolean {
    return this.#truncated;
  }

  add(data: Uint8Array): void {
    const kept = data.subarray(0, this.#limit - this.#bytes);
    this.#truncated ||= kept.byteLength < data.byteLength;
    this.#bytes += kept.byteLength;
    // A copy: who gives it may use its memory again.
    if (kept.byteLength > 0) this.#pieces.push(Uint8Array.from(kept));
  }

  /** All that was kept. */
  bytes(): Uint8Array {
    return Buffer.concat(this.#pieces, this.#bytes);
  }
}
