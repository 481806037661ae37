import type { Logger } from "pino";
import { canBecome, hasEnded } from "../../domain/command-state.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { CommandRecord, NewEvent } from "../../storage/records.ts";
import type { CommandQuery } from "../../storage/command-repository.ts";
import type { Storage } from "../../storage/storage.ts";
import { doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import type { EndOfCommand } from "./command-end.ts";
import type { CommandObserver } from "./command-observer.ts";
import { processFacts, storedOutcome } from "./process-output.ts";
import { LateWrites } from "./late-writes.ts";
import { RecentCallers } from "./recent-callers.ts";

/** What changes when a command goes on without ending. */
export type CommandProgress = Pick<CommandRecord, "state"> &
  Partial<
    Pick<
      CommandRecord,
      "attempt" | "sessionEpoch" | "journalId" | "dispatchTime" | "acceptTime" | "cancelRequested"
    >
  >;

/** Who is told of an open command's changes; `ended` is the last one. */
export interface CommandWatcher {
  changed?(record: CommandRecord): void;
  ended(record: CommandRecord): void;
}

interface OpenCommand {
  record: CommandRecord;
  /** Set while its end is being written: the first end wins. */
  ending: boolean;
  readonly watchers: Set<CommandWatcher>;
}

const nothing = new Uint8Array(0);

// What an engine calls a container by; anything else are the words of a caller.
const isFullId = (container: string): boolean => /^[0-9a-f]{64}$/.test(container);

/**
 * The server's journal of commands that change something. Those that have not ended are in memory as well; nothing is
 * told of a command that is not committed. All that happens in one turn of the event loop is one transaction.
 */
export class CommandJournal {
  readonly #storage: Storage;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #open = new Map<string, OpenCommand>();
  readonly #openByAgent = new Map<string, Set<string>>();
  readonly #recent = new RecentCallers();
  readonly #late: LateWrites;
  readonly #observer: CommandObserver | undefined;

  constructor(parts: {
    storage: Storage;
    events: EventLog;
    clock: Clock;
    wheel: TimerWheel;
    logger: Logger;
    observer?: CommandObserver;
  }) {
    this.#observer = parts.observer;
    this.#late = new LateWrites({ wheel: parts.wheel, write: (commandId) => this.#writeLate(commandId) });
    this.#storage = parts.storage;
    this.#events = parts.events;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  /** Reads what had not ended when the process before this one did. To be called once, before anything else. */
  async recover(): Promise<number> {
    for (const record of await this.#storage.commands.open()) this.#remember(record);
    return this.#open.size;
  }

  /** How many commands have not ended. */
  get openCount(): number {
    return this.#open.size;
  }

  /** A command that has not ended. */
  open(commandId: string): CommandRecord | undefined {
    return this.#open.get(commandId)?.record;
  }

  /** An agent's commands that have not ended and whose end is not just being written, oldest first. */
  openOf(agentId: string): CommandRecord[] {
    return [...(this.#openByAgent.get(agentId) ?? [])].flatMap((id) => this.#goingOn(id)?.record ?? []);
  }

  /** All commands that have not ended, oldest first. */
  allOpen(): CommandRecord[] {
    return [...this.#open.values()].map(({ record }) => record);
  }

  /** How many of an agent's commands have not ended. */
  openCountOf(agentId: string): number {
    return this.#openByAgent.get(agentId)?.size ?? 0;
  }

  /** A command, ended or not. */
  async find(commandId: string): Promise<CommandRecord | undefined> {
    return this.open(commandId) ?? (await this.#storage.commands.get(commandId));
  }

  /** Commands, newest first, with all the steps that they have taken. Rejects with `STORAGE_UNAVAILABLE`. */
  async list(query: CommandQuery): Promise<CommandRecord[]> {
    await this.#late.flush();
    return this.#storage.commands.list(query);
  }

  /** Who had this agent do a command. Undefined: it is unknown, or another agent's. Rejects with `STORAGE_UNAVAILABLE`. */
  async callerOf(agentId: string, commandId: string): Promise<string | undefined> {
    const known = this.open(commandId) ?? this.#recent.get(commandId) ?? (await this.find(commandId));
    return known?.agentId === agentId ? known.caller : undefined;
  }

  /** Which of these commands are known and were for this agent. */
  ofAgent(agentId: string, commandIds: readonly string[]): Promise<string[]> {
    return this.#storage.commands.ofAgent(agentId, commandIds);
  }

  /** Writes a new command. Resolves when it is committed; until then it does not exist. */
  async add(record: CommandRecord): Promise<void> {
    await this.#storage.commit({ commands: [record] });
    this.#remember(record);
  }

  /** Notes that a command went on. Ignored when it has ended, or ends just now. Not waited for: losing it must lose nothing. */
  advance(commandId: string, progress: CommandProgress): void {
    void this.advanceSafely(commandId, progress);
  }

  /**
   * Notes that a command went on. Resolves when that is committed, to the command as it is then; to undefined when it has ended, ends just
   * now, or could not be stored.
   */
  async advanceSafely(commandId: string, progress: CommandProgress): Promise<CommandRecord | undefined> {
    const open = this.#advanced(commandId, progress);
    return open === undefined ? undefined : this.#stored(open);
  }

  /**
   * Notes that the agent has a command in its journal. Written with the command's next step, by itself before a second is over, or before
   * somebody lists commands: should it be lost with this process, the agent says it again.
   */
  accepted(commandId: string): void {
    const progress = { state: "ACCEPTED", acceptTime: this.#clock.now() } as const;
    if (this.#advanced(commandId, progress) !== undefined) this.#late.add(commandId);
  }

  /** Writes what was not written yet. To be called when nothing more is to come. */
  close(): void {
    void this.#late.flush();
  }

  /**
   * Ends a command and tells whoever waits, after the commit. False: it has ended before, or ends just now, and nothing changes. Rejects
   * when the end cannot be stored; the command is then still open.
   */
  async end(commandId: string, end: EndOfCommand): Promise<boolean> {
    const open = this.#goingOn(commandId);
    if (open === undefined) return false;
    open.ending = true;
    this.#late.delete(commandId);
    const endTime = this.#clock.now();
    const ended = { ...open.record, ...end, endTime, payload: nothing };
    const record = { ...ended, transitions: [...ended.transitions, this.#transition(ended)] };
    const stored = { ...record, outcome: storedOutcome(record) };
    const event = this.#ended(record, processFacts(open.record, record.outcome));
    try {
      await this.#storage.commit({ commands: [stored], events: [event] });
    } catch (error) {
      open.ending = false;
      throw error;
    }
    this.#forget(record);
    this.#recent.add(record);
    this.#observer?.ended(record);
    for (const watcher of open.watchers) watcher.ended(record);
    return true;
  }

  /** Tells the watcher of the command's changes. Returns how to take that back; undefined when it is not open. */
  watch(commandId: string, watcher: CommandWatcher): (() => void) | undefined {
    const open = this.#open.get(commandId);
    if (open === undefined) return undefined;
    open.watchers.add(watcher);
    return () => open.watchers.delete(watcher);
  }

  /** Takes the step in memory. Undefined: it cannot be taken, because the command has ended or ends just now. */
  #advanced(commandId: string, progress: CommandProgress): OpenCommand | undefined {
    const open = this.#goingOn(commandId);
    if (open === undefined || !canBecome(open.record.state, progress.state)) return undefined;
    const advanced = { ...open.record, ...progress };
    open.record = { ...advanced, transitions: [...advanced.transitions, this.#transition(advanced)] };
    for (const watcher of open.watchers) watcher.changed?.(open.record);
    return open;
  }

  /** Writes an open command as it is. Resolves to it as it is then; to undefined when it has ended, ends just now, or could not be stored. */
  async #stored({ record }: OpenCommand): Promise<CommandRecord | undefined> {
    const { id, agentId, sessionEpoch } = record;
    this.#late.delete(id);
    try {
      await this.#storage.commit({ commands: [record] });
    } catch (error) {
      const fields = { command_id: id, agent_id: agentId, session_epoch: sessionEpoch };
      this.#logger.error({ err: error, ...fields }, "a command's progress could not be stored");
      return undefined;
    }
    return this.#goingOn(id)?.record;
  }

  async #writeLate(commandId: string): Promise<void> {
    const open = this.#goingOn(commandId);
    if (open !== undefined) await this.#stored(open);
  }

  #goingOn(commandId: string): OpenCommand | undefined {
    const open = this.#open.get(commandId);
    return open?.ending === false ? open : undefined;
  }

  #remember(record: CommandRecord): void {
    if (hasEnded(record.state)) return;
    this.#open.set(record.id, { record, ending: false, watchers: new Set() });
    const ids = this.#openByAgent.get(record.agentId);
    if (ids === undefined) this.#openByAgent.set(record.agentId, new Set([record.id]));
    else ids.add(record.id);
  }

  #forget({ id, agentId }: CommandRecord): void {
    this.#open.delete(id);
    const ids = this.#openByAgent.get(agentId);
    ids?.delete(id);
    if (ids?.size === 0) this.#openByAgent.delete(agentId);
  }

  #transition({ state, attempt, sessionEpoch }: CommandRecord): CommandRecord["transitions"][number] {
    return { state, time: this.#clock.now(), attempt, sessionEpoch };
  }

  #ended(record: CommandRecord, facts: Readonly<Record<string, string>>): NewEvent {
    return this.#events.make({
      type: EventType.COMMAND_ENDED,
      hostId: record.hostId,
      hostName: record.hostName,
      containerId: isFullId(record.container) ? record.container : "",
      containerName: record.containerName,
      commandId: record.id,
      ...doneBy(
        { name: record.caller, address: record.callerAddress ?? "", keyId: record.callerKeyId },
        {
          operation: record.operation,
          ...facts,
          state: record.state,
          ...(record.reason === "" ? {} : { reason: record.reason }),
          duration_ms: `${(record.endTime ?? record.createTime) - record.createTime}`,
        },
      ),
    });
  }
}
