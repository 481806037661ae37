import type { HostEvent } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import type { KeyedTurns } from "../../resilience/keyed-turns.ts";
import type { Storage } from "../../storage/storage.ts";
import type { EventDraft, EventLog } from "../events/event-log.ts";
import type { AgentCall } from "./agent-call.ts";
import type { AgentSession } from "./agent-session.ts";
import type { CommandTraffic } from "./command-traffic.ts";
import { storedHostEventsItem } from "./control-items.ts";
import { eventFromHost } from "./host-events.ts";
import { hostEventKey, knownHostEvents } from "./known-host-events.ts";
import type { SessionSettings } from "./session-settings.ts";

/** Whose host events. */
export interface OwnHostEventIntakeParts {
  readonly session: AgentSession;
  readonly call: Pick<AgentCall, "pause" | "resume" | "isPaused">;
}

/** What the intake of host events needs: one object for all sessions. */
export interface HostEventIntakeParts {
  readonly settings: Pick<SessionSettings, "maxUnstoredEvents">;
  readonly events: EventLog;
  readonly storage: { readonly events: Pick<Storage["events"], "newestOfHost"> };
  readonly eventTurns: KeyedTurns;
  readonly traffic: Pick<CommandTraffic, "callerOf">;
}

interface Arrival {
  readonly draft: EventDraft;
  readonly caughtUp: boolean;
  /** The command that caused it, as the agent says. Empty: none. */
  readonly commandId: string;
}

/**
 * Stores what an agent's engine reported, each fact once and in order, and tells the agent how much of it is stored. While too much waits
 * the agent is not read. What came before the session ended is stored also after its end, and before anything of the next session.
 */
export class HostEventIntake {
  readonly #session: AgentSession;
  readonly #call: OwnHostEventIntakeParts["call"];
  readonly #parts: HostEventIntakeParts;
  #arrived: Arrival[] = [];
  /** How many events of the session came, usable or not. */
  #received = 0;
  #unstored = 0;
  #storing = false;
  /** Something could not be stored: what the agent keeps from there on it sends again in its next session. */
  #failed = false;

  constructor({ session, call }: OwnHostEventIntakeParts, parts: HostEventIntakeParts) {
    this.#session = session;
    this.#call = call;
    this.#parts = parts;
  }

  /** Takes the good ones of so many that came. */
  take(good: readonly HostEvent[], count: number): void {
    const [call, session] = [this.#call, this.#session];
    const { settings } = this.#parts;
    this.#received += count;
    for (const event of good) {
      const draft = eventFromHost(event, session.identity);
      if (draft === undefined) continue;
      this.#arrived.push({ draft, caughtUp: event.caughtUp, commandId: event.commandId });
    }
    this.#unstored += count;
    if (this.#unstored > settings.maxUnstoredEvents) {
      call.pause();
      // Nothing is heard of an agent that is not listened to.
      session.holdLease(true);
    }
    if (this.#storing) return;
    this.#storing = true;
    void this.#parts.eventTurns.run(session.identity.hostId, () => this.#storeAll());
  }

  /** Never rejects. What comes meanwhile is stored together, in the next round. */
  async #storeAll(): Promise<void> {
    while (this.#unstored > 0) {
      const [arrived, received, count] = [this.#arrived, this.#received, this.#unstored];
      this.#arrived = [];
      const stored = await this.#store(arrived);
      this.#failed ||= !stored;
      if (!this.#failed) this.#session.send(storedHostEventsItem(received));
      this.#unstored -= count;
      this.#readOn();
    }
    this.#storing = false;
  }

  async #store(arrived: readonly Arrival[]): Promise<boolean> {
    const session = this.#session;
    const { events } = this.#parts;
    try {
      // Without a wait where it can be, so that what hosts report at the same time is stored together.
      const fresh = arrived.some(({ caughtUp }) => caughtUp) ? await this.#unknown(arrived) : arrived;
      const isCaused = fresh.some(({ commandId }) => commandId !== "");
      const drafts = isCaused ? await this.#withCallers(fresh) : fresh.map(({ draft }) => draft);
      return drafts.length === 0 || (await events.recordMany(drafts));
    } catch (error) {
      session.logger.error({ err: error }, "what a host's events are about could not be looked up");
      return false;
    }
  }

  async #unknown(arrived: readonly Arrival[]): Promise<Arrival[]> {
    const session = this.#session;
    const { storage } = this.#parts;
    const known = await knownHostEvents(storage.events, session.identity.hostId, earliest(arrived));
    return arrived.filter(({ draft, caughtUp }) => !caughtUp || !known.has(hostEventKey(draft)));
  }

  /** A command that is not this agent's is not believed: its caller must not be blamed. */
  #withCallers(arrived: readonly Arrival[]): Promise<EventDraft[]> {
    const session = this.#session;
    const { traffic } = this.#parts;
    return Promise.all(
      arrived.map(async ({ draft, commandId }) => {
        if (commandId === "") return draft;
        const caller = await traffic.callerOf(session.identity.agentId, commandId);
        return caller === undefined ? draft : { ...draft, commandId, actor: caller };
      }),
    );
  }

  #readOn(): void {
    const [call, session] = [this.#call, this.#session];
    const { settings } = this.#parts;
    if (session.over || !call.isPaused() || this.#unstored > settings.maxUnstoredEvents) return;
    session.holdLease(false);
    call.resume();
  }
}

function earliest(arrived: readonly Arrival[]): number {
  const times = arrived.filter(({ caughtUp }) => caughtUp).map(({ draft }) => draft.eventTime ?? 0);
  return times.reduce((least, time) => Math.min(least, time), Number.MAX_SAFE_INTEGER);
}
