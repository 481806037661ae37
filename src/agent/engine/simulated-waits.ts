import { untilAborted } from "../../resilience/signals.ts";
import { engineWentAway } from "./docker-wait.ts";
import type { EngineExit, EngineWaitCondition } from "./engine.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

interface Waiter extends PromiseWithResolvers<EngineExit> {
  readonly container: SimulatedContainer;
  readonly condition: EngineWaitCondition;
}

/** Those who wait for something of a simulated container. */
export class SimulatedWaits {
  readonly #waiters = new Set<Waiter>();

  /** How many wait now. */
  get size(): number {
    return this.#waiters.size;
  }

  /** As `Engine.waitContainer` says. */
  async wait(
    container: SimulatedContainer,
    condition: EngineWaitCondition,
    signal: AbortSignal,
  ): Promise<EngineExit> {
    if (condition === "not-running" && container.run === undefined) return exitOf(container);
    const waiter = { container, condition, ...Promise.withResolvers<EngineExit>() };
    this.#waiters.add(waiter);
    try {
      return await untilAborted(waiter.promise, signal);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** A container has ended. */
  died(container: SimulatedContainer): void {
    for (const waiter of this.#waiters) {
      if (waiter.container === container && waiter.condition !== "removed") waiter.resolve(exitOf(container));
    }
  }

  /** A container is gone. */
  removed(container: SimulatedContainer): void {
    for (const waiter of this.#waiters) {
      if (waiter.container === container) waiter.resolve(exitOf(container));
    }
  }

  /** The engine goes away. */
  breakAll(): void {
    for (const { condition, reject } of this.#waiters) reject(engineWentAway(condition));
  }
}

function exitOf({ exitCode }: SimulatedContainer): EngineExit {
  return { exitCode, message: "" };
}
