import type { Engine, EngineEvent } from "../../src/agent/engine/engine.ts";
import { ContainerAction } from "../../src/gen/fairlead/agent/v1/inventory_pb.js";

const patienceMs = 5_000;

/** Reads an engine's events in the background and keeps them. */
export class EngineWatcher {
  readonly #stop = new AbortController();
  readonly #events: EngineEvent[] = [];
  readonly #done: Promise<unknown>;
  #wake = Promise.withResolvers<void>();

  private constructor(engine: Engine, listening: () => void, sinceNs: bigint | undefined) {
    this.#done = this.#read(engine, listening, sinceNs).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  /** Resolves once the engine listens. */
  static async open(engine: Engine, sinceNs?: bigint): Promise<EngineWatcher> {
    const listening = Promise.withResolvers<void>();
    const watcher = new EngineWatcher(engine, listening.resolve, sinceNs);
    const failed = watcher.#done.then((error) => {
      throw error;
    });
    await Promise.race([listening.promise, failed]);
    failed.catch(() => {});
    return watcher;
  }

  /** What was told of a container so far, in words. */
  of(containerId: string): string[] {
    return this.events(containerId).map(({ action }) => ContainerAction[action]);
  }

  /** The same with everything. */
  events(containerId: string): EngineEvent[] {
    return this.#events.filter((event) => event.containerId === containerId);
  }

  /** Waits until this was told of the container; fails with what was told when it takes too long. */
  async until(containerId: string, action: keyof typeof ContainerAction): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`no ${action}, only ${this.of(containerId).join(", ")}`)),
      patienceMs,
    );
    try {
      while (!this.of(containerId).includes(action)) {
        await Promise.race([this.#wake.promise, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** With what the stream ended; undefined when it just ended. */
  get ended(): Promise<unknown> {
    return this.#done;
  }

  /** Stops reading and resolves to what the stream ended with. */
  async close(): Promise<unknown> {
    this.#stop.abort();
    return this.#done;
  }

  async #read(engine: Engine, listening: () => void, sinceNs: bigint | undefined): Promise<void> {
    for await (const notice of engine.watch(this.#stop.signal, sinceNs)) {
      if (notice.kind === "listening") {
        listening();
      } else if (notice.kind === "event") {
        this.#events.push(notice.event);
        this.#wake.resolve();
        this.#wake = Promise.withResolvers<void>();
      }
    }
  }
}
