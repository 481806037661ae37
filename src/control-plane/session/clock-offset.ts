// How many frames one look takes in. Two looks count, so that a clock that was set is believed after at most as many frames twice.
const samplesInLook = 8;

/**
 * How far an agent's clock is ahead of ours, estimated from the times in its frames. A frame that took long on its way looks like a
 * clock that is behind, so that of the latest frames the quickest one, with the largest difference, tells best. Three numbers a session.
 */
export class ClockOffset {
  #current = -Infinity;
  #before = -Infinity;
  #samples = 0;

  /** A frame was sent at `sentMs` by the agent's clock and came at `receivedMs` by ours. */
  observe(sentMs: number, receivedMs: number): void {
    if (this.#samples === samplesInLook) {
      this.#before = this.#current;
      this.#current = -Infinity;
      this.#samples = 0;
    }
    this.#samples += 1;
    this.#current = Math.max(this.#current, sentMs - receivedMs);
  }

  /** The estimate in milliseconds; negative: the agent's clock is behind. Undefined before the first frame with a time. */
  get ms(): number | undefined {
    const offset = Math.max(this.#current, this.#before);
    return offset === -Infinity ? undefined : offset;
  }
}
