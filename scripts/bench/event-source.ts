import type { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";

const tickMs = 50;

/** Lets things happen on a host: its first running container is paused and unpaused again and again. */
export class EventSource {
  readonly #engine: SimulatedEngine;
  #container: string | undefined;
  #isPaused = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(engine: SimulatedEngine) {
    this.#engine = engine;
  }

  /** Makes so many events at once. */
  async emit(events: number): Promise<void> {
    const container = (this.#container ??= await this.#findRunning());
    for (let event = 0; event < events; event += 1) {
      if (this.#isPaused) await this.#engine.unpauseContainer(container, neverAborted);
      else await this.#engine.pauseContainer(container, neverAborted);
      this.#isPaused = !this.#isPaused;
    }
  }

  /** Makes so many a second, in small bursts, until `stop`. A process that is late catches up. */
  begin(perSecond: number): void {
    this.stop();
    const startedAt = performance.now();
    let made = 0;
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1000) - made;
      made += due;
      // A failure would be a fault of the simulated engine, and ends the process as one should.
      void this.emit(due);
    }, tickMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #findRunning(): Promise<string> {
    const running = (await this.#engine.listContainers(neverAborted)).find(
      ({ state }) => state === ContainerState.RUNNING,
    );
    if (running === undefined) throw new RangeError("a host on which nothing runs");
    return running.id;
  }
}
