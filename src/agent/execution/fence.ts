import { setImmediate as turn } from "node:timers/promises";
import { FleetError, type Reason } from "../../domain/errors.ts";
import type { CommandSink } from "./command-sink.ts";

// Ends that say that this process is not the agent any more, or not the only one that claims to be.
const overtaken: ReadonlySet<Reason> = new Set<Reason>(["SESSION_SUPERSEDED", "AGENT_REVOKED"]);

// Silence of so many milliseconds may be this process standing still, with news of the control plane's waiting in its socket.
const freshMs = 50;

/**
 * Keeps an agent that was replaced while it stood still from acting on what it had been sent. A command begins only while a session
 * lives, and asks the engine for nothing once the session was taken over or its lease ran out by this host's clock. What has not begun goes on in
 * the agent's next session, but only when no other process had one in between: then the epochs follow on each other.
 */
export class Fence {
  /** The session of the moment, or the one before it. */
  #session: CommandSink | undefined;
  #lives = false;
  #isOvertaken = false;
  #oldestEpoch = 0;

  /** The largest epoch that was seen. */
  get largestEpoch(): number {
    return this.#session?.epoch ?? 0;
  }

  /** Whether a command may begin now. */
  get open(): boolean {
    return this.#lives && this.#session?.lapsed === false;
  }

  /** A session begins. */
  begin(session: CommandSink): void {
    if (session.epoch !== this.largestEpoch + 1) this.#oldestEpoch = session.epoch;
    this.#session = session;
    this.#lives = true;
    this.#isOvertaken = false;
  }

  /** A session ended for this reason. */
  end(session: CommandSink, reason: Reason): void {
    if (this.#session !== session) return;
    this.#lives = false;
    this.#isOvertaken = overtaken.has(reason);
  }

  /** Whether another process may have acted for the agent since the session with this epoch: nothing that it brought may begin any more. */
  isOutdated(epoch: number): boolean {
    return epoch < this.#oldestEpoch;
  }

  /**
   * Resolves when the engine may be asked for what the session with this epoch brought, after news that wait were heard. Otherwise rejects with
   * `SESSION_LOST`, which is retryable: nothing may have been asked for before.
   */
  async pass(epoch: number): Promise<void> {
    if ((this.#session?.silentMs ?? Infinity) > freshMs) await turn();
    if (this.#isOvertaken || this.isOutdated(epoch)) {
      throw fenced("another process took over this agent's session before the command was carried out");
    }
    if (this.#session?.lapsed !== false) {
      throw fenced("the session's lease ran out before the command was carried out");
    }
  }
}

/** How a command ends whose session counts no more and that did nothing. */
export function fenced(message: string): FleetError {
  return new FleetError("SESSION_LOST", `${message}; it did nothing`);
}
