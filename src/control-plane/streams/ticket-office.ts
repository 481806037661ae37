import { createHash, randomBytes } from "node:crypto";
import { FleetError } from "../../domain/errors.ts";
import type { TimerWheel, WheelTimer } from "../../resilience/timer-wheel.ts";

/** The right of one agent to open one stream. */
export interface Ticket<Stream> {
  /** What the agent has to show, 32 random bytes. */
  readonly secret: Uint8Array;
  /** The stream that was opened with it. Rejects when the ticket is taken back, or too old. */
  readonly opened: Promise<Stream>;
  /** Nobody may use it any more. Of no effect once it was used. */
  takeBack(reason: FleetError): void;
}

interface Open<Stream> extends PromiseWithResolvers<Stream> {
  readonly agentId: string;
  readonly timer: WheelTimer;
}

/** Gives out tickets, and takes each once, for so long, from its own agent only. */
export class TicketOffice<Stream> {
  readonly #wheel: TimerWheel;
  readonly #lifeMs: number;
  // By digest, so that looking for one takes no longer when a part of it is right.
  readonly #open = new Map<string, Open<Stream>>();

  constructor({ wheel, lifeMs }: { readonly wheel: TimerWheel; readonly lifeMs: number }) {
    this.#wheel = wheel;
    this.#lifeMs = lifeMs;
  }

  /** How many can still be used. */
  get size(): number {
    return this.#open.size;
  }

  /** A new one. */
  issue(agentId: string): Ticket<Stream> {
    const secret = randomBytes(32);
    const key = digestOf(secret);
    const takeBack = (reason: FleetError) => {
      if (!this.#open.delete(key)) return;
      open.timer.cancel();
      open.reject(reason);
    };
    const timer = this.#wheel.schedule(this.#lifeMs, () => takeBack(tooOld(this.#lifeMs)));
    const open: Open<Stream> = { agentId, timer, ...Promise.withResolvers<Stream>() };
    // Whoever issued it may have been told otherwise already that it is of no use.
    open.promise.catch(() => undefined);
    this.#open.set(key, open);
    return { secret, opened: open.promise, takeBack };
  }

  /** Takes a ticket. Returns how to hand over the stream; undefined: it is unknown, spent, too old or another agent's, and stays as it is. */
  redeem(secret: Uint8Array, agentId: string): ((stream: Stream) => void) | undefined {
    const key = digestOf(secret);
    const open = this.#open.get(key);
    if (open?.agentId !== agentId) return undefined;
    this.#open.delete(key);
    open.timer.cancel();
    return open.resolve;
  }
}

function digestOf(secret: Uint8Array): string {
  return createHash("sha256").update(secret).digest("base64");
}

function tooOld(lifeMs: number): FleetError {
  return new FleetError("STREAM_NOT_OPENED", `the agent opened no data stream within ${lifeMs} ms`);
}
