import { FleetError } from "../../domain/errors.ts";
import type { AgentSession } from "./agent-session.ts";

/**
 * Which session of each agent counts now. The one owner of that question: who sends, lists or deletes asks here, so that
 * another implementation can know of sessions at other replicas.
 */
export interface Sessions {
  /** The session that counts, if there is one. */
  current(agentId: string): AgentSession | undefined;
  /** Whether the agent has one. */
  isOnline(agentId: string): boolean;
  /** How many there are. */
  readonly size: number;
  /** All of them. */
  all(): Iterable<AgentSession>;
  /** The agent's host is called otherwise from now on. */
  rename(agentId: string, hostName: string): void;
  /** The agent is gone for good: ends its session, if it has one, and admits none that is just being opened. */
  remove(agentId: string, reason: FleetError): void;
}

/** The sessions of this process. */
export class SessionRegistry implements Sessions {
  readonly #sessions = new Map<string, AgentSession>();
  // Ids are never used again, so that this grows by one small entry for each deleted host.
  readonly #removed = new Map<string, FleetError>();

  get size(): number {
    return this.#sessions.size;
  }

  current(agentId: string): AgentSession | undefined {
    return this.#sessions.get(agentId);
  }

  isOnline(agentId: string): boolean {
    return this.#sessions.has(agentId);
  }

  all(): Iterable<AgentSession> {
    return this.#sessions.values();
  }

  rename(agentId: string, hostName: string): void {
    this.#sessions.get(agentId)?.rename(hostName);
  }

  remove(agentId: string, reason: FleetError): void {
    this.#removed.set(agentId, reason);
    this.#sessions.get(agentId)?.end(reason);
  }

  /**
   * Makes a session the one that counts and ends the older one of its agent. Returns that older one, if there was one. Throws
   * SESSION_SUPERSEDED when a newer one counts already (two came at once, and this one was overtaken), and what `remove` was told.
   */
  admit(session: AgentSession): AgentSession | undefined {
    const { agentId, epoch } = session.identity;
    const removed = this.#removed.get(agentId);
    if (removed !== undefined) throw removed;
    const older = this.#sessions.get(agentId);
    if (older !== undefined && older.identity.epoch > epoch) {
      throw new FleetError("SESSION_SUPERSEDED", "a newer session of this agent took over");
    }
    this.#sessions.set(agentId, session);
    older?.end(
      new FleetError("SESSION_SUPERSEDED", "a newer session of this agent took over", {
        metadata: { session_epoch: `${epoch}` },
      }),
    );
    return older;
  }

  /** Forgets a session that has ended. False: another one counts by now, and nothing was changed. */
  release(session: AgentSession): boolean {
    const { agentId } = session.identity;
    if (this.#sessions.get(agentId) !== session) return false;
    return this.#sessions.delete(agentId);
  }
}
