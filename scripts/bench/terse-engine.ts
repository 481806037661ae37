import type { EngineContainer } from "../../src/agent/engine/engine.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";

/**
 * A simulated engine that tells no more of a container than its id and its name, so that a measurement shows the way of
 * a command with small messages, not how long it takes to compose what Docker would say. Changes are the usual ones.
 */
export class TerseEngine extends SimulatedEngine {
  readonly #known = new Map<string, EngineContainer>();

  override async getContainer(container: string, signal: AbortSignal): Promise<EngineContainer> {
    signal.throwIfAborted();
    const known = this.#known.get(container) ?? (await super.getContainer(container, signal));
    const terse = { id: known.id, name: known.name };
    this.#known.set(container, terse);
    return terse;
  }

  override async inspectContainer(
    container: string,
    signal: AbortSignal,
  ): Promise<{ readonly container: EngineContainer; readonly engineJson: string }> {
    return { container: await this.getContainer(container, signal), engineJson: "{}" };
  }
}
