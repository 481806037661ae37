const mostBytes = 32 * 1024 * 1024;

/** Results that are told whole and may not be written whole, until they are acknowledged. Of too many the oldest are forgotten. */
export class UntoldResults {
  readonly #results = new Map<string, Uint8Array>();
  #bytes = 0;

  get(commandId: string): Uint8Array | undefined {
    return this.#results.get(commandId);
  }

  add(commandId: string, result: Uint8Array): void {
    this.delete(commandId);
    // A result shares its memory with others that are told and forgotten.
    this.#results.set(commandId, Uint8Array.from(result));
    this.#bytes += result.byteLength;
    for (const oldest of this.#results.keys()) {
      if (this.#bytes <= mostBytes) return;
      this.delete(oldest);
    }
  }

  delete(commandId: string): void {
    this.#bytes -= this.#results.get(commandId)?.byteLength ?? 0;
    this.#results.delete(commandId);
  }
}
