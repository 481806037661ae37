import type { EngineEvent } from "../engine/engine.ts";

/** More than an engine keeps, so that whatever it can tell again is remembered here. */
const maxRemembered = 1024;

/** Tells the events that an engine repeats, when it is asked for earlier ones, from those that are new. */
export class RecentEvents {
  readonly #keys = new Set<string>();

  /** Whether this event was not seen before. It is seen now. */
  isNew({ action, containerId, timeNs }: EngineEvent): boolean {
    const key = `${timeNs} ${action} ${containerId}`;
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    if (this.#keys.size > maxRemembered) {
      const [oldest = ""] = this.#keys;
      this.#keys.delete(oldest);
    }
    return true;
  }
}
