import { randomBytes } from "node:crypto";
import { FleetError } from "../../domain/errors.ts";
import type { ProcessInput } from "../../gen/fairlead/container/v1/process_pb.js";
import { untilAborted } from "../../resilience/signals.ts";
import type { Actor } from "../events/actor.ts";

/** What takes input. */
export interface InputTaker {
  give(input: ProcessInput["input"], signal: AbortSignal): Promise<void>;
}

/** One input and its place. */
export interface NumberedInput {
  /** 1, 2, 3 … */
  readonly sequence: number;
  readonly input: ProcessInput["input"];
}

interface Entry {
  readonly taker: InputTaker;
  readonly actor: Actor;
  /** What was taken last. */
  taken: number;
  /** Settles when the one under way is taken. */
  turn: Promise<void>;
  readonly waiting: Map<number, PromiseWithResolvers<void>>;
}

// A caller sends the next input when the one before was answered, or a few at once.
const maxWaiting = 64;

/** Finds the process that an input is for which came by a call of its own, and keeps the inputs of a process in order. */
export class ExecInputs {
  readonly #entries = new Map<string, Entry>();

  /** How many processes take input this way. */
  get size(): number {
    return this.#entries.size;
  }

  /** Lets a process take input. Returns its id, a secret of its caller, and how to take it out again. */
  enter(taker: InputTaker, actor: Actor): { readonly id: string; leave(this: void): void } {
    const id = randomBytes(24).toString("base64url");
    const entry: Entry = { taker, actor, taken: 0, turn: Promise.resolve(), waiting: new Map() };
    this.#entries.set(id, entry);
    return {
      id,
      leave: () => {
        this.#entries.delete(id);
        for (const { reject } of entry.waiting.values()) reject(notFound());
      },
    };
  }

  /**
   * Gives an input when those before it were given; one that was given already does nothing. Rejects with EXEC_NOT_FOUND when there is no such process of this
   * caller, with OVERLOADED when too many wait, and with the signal's reason; it may be repeated with the same number.
   */
  async give(
    id: string,
    actor: Actor,
    { sequence, input }: NumberedInput,
    signal: AbortSignal,
  ): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined || !isSame(entry.actor, actor)) throw notFound();
    if (sequence > entry.taken + 1) await this.#turnOf(entry, sequence, signal);
    await entry.turn;
    if (sequence <= entry.taken) return;
    const given = entry.taker.give(input, signal);
    // It is on its way: whoever stops waiting and sends it again must not have it typed twice.
    entry.taken = sequence;
    entry.turn = given.catch(() => undefined);
    await given.finally(() => entry.waiting.get(sequence + 1)?.resolve());
  }

  async #turnOf({ waiting }: Entry, sequence: number, signal: AbortSignal): Promise<void> {
    if (waiting.size >= maxWaiting) {
      throw new FleetError("OVERLOADED", "too many inputs wait for those before them");
    }
    const turn = Promise.withResolvers<void>();
    waiting.set(sequence, turn);
    try {
      await untilAborted(turn.promise, signal);
    } finally {
      waiting.delete(sequence);
    }
  }
}

function isSame(one: Actor, other: Actor): boolean {
  return one.name === other.name && one.keyId === other.keyId;
}

function notFound(): FleetError {
  return new FleetError("EXEC_NOT_FOUND", "there is no such process, or it has ended");
}
