import type { CommandRecord } from "../../storage/records.ts";

const maxRemembered = 4096;

/** Who had the commands done that ended last: a host tells a moment later what they did to its containers. */
export class RecentCallers {
  readonly #callers = new Map<string, Pick<CommandRecord, "agentId" | "caller">>();

  /** A command has ended. */
  add({ id, agentId, caller }: CommandRecord): void {
    this.#callers.set(id, { agentId, caller });
    if (this.#callers.size <= maxRemembered) return;
    const [oldest = ""] = this.#callers.keys();
    this.#callers.delete(oldest);
  }

  /** Whose command it was, and for which agent. Undefined: it is too long ago, or unknown. */
  get(commandId: string): Pick<CommandRecord, "agentId" | "caller"> | undefined {
    return this.#callers.get(commandId);
  }
}
