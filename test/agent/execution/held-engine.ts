import type { Engine, EngineChange } from "../../../src/agent/engine/engine.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { systemClock } from "../../../src/resilience/clock.ts";

/** A simulated engine whose calls tests can hold up, count and break. */
export class HeldEngine extends SimulatedEngine {
  readonly calls: string[] = [];
  before: (method: string, container: string, signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  constructor() {
    super({ clock: systemClock, engineId: "engine-held" });
  }

  override async startContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    await this.#note("start", container, signal);
    return await super.startContainer(container, signal);
  }

  override async stopContainer(...call: Parameters<Engine["stopContainer"]>): Promise<EngineChange> {
    await this.#note("stop", call[0], call[2]);
    return await super.stopContainer(...call);
  }

  override async restartContainer(...call: Parameters<Engine["restartContainer"]>): Promise<EngineChange> {
    await this.#note("restart", call[0], call[2]);
    return await super.restartContainer(...call);
  }

  override async inspectContainer(...call: Parameters<Engine["inspectContainer"]>) {
    await this.#note("inspect", call[0], call[1]);
    return await super.inspectContainer(...call);
  }

  async #note(method: string, container: string, signal: AbortSignal): Promise<void> {
    this.calls.push(`${method} ${container}`);
    await this.before(method, container, signal);
  }
}
