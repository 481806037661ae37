import { ContainerAction } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal } from "../../resilience/signals.ts";
import type { OperationCase } from "../../rpc/operation-traits.ts";
import type { EngineEvent } from "../engine/engine.ts";

/** What made something happen to a container. */
export type EventCause =
  | { readonly kind: "command"; readonly commandId: string }
  /** Somebody or something else than this agent. */
  | { readonly kind: "outside" }
  /** Nobody: it came about by itself. Or nobody can tell. */
  | { readonly kind: "none" };

/** The effects of a command, from the moment in which the engine is asked for them. */
export interface Effects {
  /** The container that it made. */
  created(containerId: string): void;
  /** It is done. What it caused may still be told for a moment, unless it changed nothing. */
  end(changed: boolean): void;
}

interface Window {
  readonly commandId: string;
  readonly actions: ReadonlySet<ContainerAction>;
  /** What of it was told. */
  readonly told: Set<ContainerAction>;
  /** Resolves when it is known which container it made, or that it made none. */
  readonly known: PromiseWithResolvers<void>;
  containerId: string | undefined;
  /** By the monotonic clock. Undefined: under way. */
  endedMs: number | undefined;
}

const { CREATED, DIED, PAUSED, REMOVED, RENAMED, STARTED, UNPAUSED, UPDATED } = ContainerAction;

const effectsOf: { readonly [Case in OperationCase]?: readonly ContainerAction[] } = {
  createContainer: [CREATED, STARTED],
  startContainer: [STARTED],
  stopContainer: [DIED],
  restartContainer: [DIED, STARTED],
  killContainer: [DIED],
  pauseContainer: [PAUSED],
  unpauseContainer: [UNPAUSED],
  renameContainer: [RENAMED],
  removeContainer: [DIED, REMOVED],
  updateContainer: [UPDATED],
};

const none: EventCause = { kind: "none" };
const outside: EventCause = { kind: "outside" };

/** An engine may tell what a command did a moment after it answered the command. */
const lingerMs = 2_000;
/** A process may take its time to end after it was asked to. */
const askedMs = 60_000;
/** What is removed so soon after its end was removed by what ended it: `rm --force`, or the engine for a container of `run --rm`. */
const removalNs = 5_000_000_000n;
/** An engine waits longer from one restart to the next, but never longer than a minute. */
const restartNs = 70_000_000_000n;
const maxRemembered = 4096;

/**
 * Finds out what caused the engine's events: a command of this agent on that container, somebody else, or nobody. A container's end has a
 * cause only when somebody asked for it; otherwise it ended by itself.
 */
export class EventCauses {
  readonly #clock: Clock;
  readonly #restartsByItself: (containerId: string) => boolean;
  readonly #windows = new Set<Window>();
  readonly #asked = new Map<string, { readonly cause: EventCause; readonly atMs: number }>();
  readonly #deaths = new Map<string, { readonly cause: EventCause; readonly timeNs: bigint }>();

  /** `restartsByItself`: whether the engine is to start a container again that has ended by itself. */
  constructor(clock: Clock, restartsByItself: (containerId: string) => boolean) {
    this.#clock = clock;
    this.#restartsByItself = restartsByItself;
  }

  /** A command asks the engine for a change now. Undefined container: one that it makes. */
  begin(commandId: string, operation: OperationCase, containerId: string | undefined): Effects {
    const actions = new Set(effectsOf[operation] ?? []);
    const known = Promise.withResolvers<void>();
    const window: Window = {
      commandId,
      actions,
      told: new Set(),
      known,
      containerId,
      endedMs: undefined,
    };
    this.#windows.add(window);
    return {
      created: (id) => {
        window.containerId = id;
        known.resolve();
      },
      end: (changed) => {
        known.resolve();
        window.endedMs = this.#clock.monotonic();
        if (!changed) this.#windows.delete(window);
      },
    };
  }

  /** Somebody asked the engine to send a signal to a container's process. */
  asked(containerId: string): void {
    this.#forgetOld();
    const cause = this.#commandBehind(containerId, DIED, false) ?? outside;
    remember(this.#asked, containerId, { cause, atMs: this.#clock.monotonic() });
  }

  /** What caused an event. Events of one container have to come in their order. Waits a moment where a command is just making a container. */
  async causeOf(event: EngineEvent, signal: AbortSignal): Promise<EventCause> {
    this.#forgetOld();
    if (event.action === CREATED) await this.#creations(signal);
    const { action, containerId } = event;
    switch (action) {
      case DIED:
        return this.#causeOfDeath(event);
      case REMOVED:
        return this.#commandBehind(containerId, action) ?? this.#causeOfRemoval(event);
      case STARTED:
        return this.#commandBehind(containerId, action) ?? this.#causeOfStart(event);
      case CREATED:
      case PAUSED:
      case UNPAUSED:
      case RENAMED:
      case UPDATED:
        return this.#commandBehind(containerId, action) ?? outside;
      default:
        return none;
    }
  }

  #causeOfDeath({ containerId, timeNs }: EngineEvent): EventCause {
    const asked = this.#asked.get(containerId);
    const isRecent = asked !== undefined && this.#clock.monotonic() - asked.atMs < askedMs;
    this.#asked.delete(containerId);
    const byCommand = this.#commandBehind(containerId, DIED);
    const cause = isRecent ? asked.cause : (byCommand ?? none);
    remember(this.#deaths, containerId, { cause, timeNs });
    return cause;
  }

  #causeOfRemoval({ containerId, timeNs }: EngineEvent): EventCause {
    const death = this.#deaths.get(containerId);
    this.#deaths.delete(containerId);
    return death !== undefined && timeNs - death.timeNs < removalNs ? death.cause : outside;
  }

  #causeOfStart({ containerId, timeNs }: EngineEvent): EventCause {
    const death = this.#deaths.get(containerId);
    const isAgain = death?.cause.kind === "none" && timeNs - death.timeNs < restartNs;
    return isAgain && this.#restartsByItself(containerId) ? none : outside;
  }

  #commandBehind(containerId: string, action: ContainerAction, isTold = true): EventCause | undefined {
    const windows = [...this.#windows].filter(
      (window) =>
        window.containerId === containerId &&
        window.actions.has(action) &&
        (window.endedMs === undefined || !window.told.has(action)),
    );
    const window = windows.find(({ endedMs }) => endedMs === undefined) ?? windows.at(-1);
    if (window === undefined) return undefined;
    if (isTold) window.told.add(action);
    return { kind: "command", commandId: window.commandId };
  }

  async #creations(signal: AbortSignal): Promise<void> {
    const open = [...this.#windows].filter(
      ({ actions, containerId, endedMs }) =>
        actions.has(CREATED) && containerId === undefined && endedMs === undefined,
    );
    if (open.length === 0) return;
    const waiting = linkSignal(signal);
    const late = this.#clock.sleep(lingerMs, waiting.signal).catch(() => undefined);
    await Promise.race([Promise.all(open.map(({ known }) => known.promise)), late]);
    waiting.abort(new Error("it is known"));
    waiting.release();
  }

  #forgetOld(): void {
    const nowMs = this.#clock.monotonic();
    for (const window of this.#windows) {
      if (window.endedMs !== undefined && nowMs - window.endedMs >= lingerMs) this.#windows.delete(window);
    }
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxRemembered) return;
  const [oldest = ""] = map.keys();
  map.delete(oldest);
}
