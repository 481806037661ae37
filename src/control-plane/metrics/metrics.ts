import { collectDefaultMetrics, Registry } from "prom-client";
import type { Clock } from "../../resilience/clock.ts";
import { CommandMetrics } from "./command-metrics.ts";
import { ConnectionMetrics } from "./connection-metrics.ts";
import { addLiveFigures, type LiveFigures } from "./live-figures.ts";
import { SessionMetrics } from "./session-metrics.ts";
import { StorageMetrics } from "./storage-metrics.ts";
import { StreamMetrics } from "./stream-metrics.ts";

/** A page of figures. */
export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

// The process is measured once, however many control planes it runs: the library's probes of it have no end.
let ofProcess: Registry | undefined;

/** What happened and how things are, for Prometheus. The other rooms tell it through their observers. */
export class Metrics {
  readonly #registry = new Registry();
  readonly commands = new CommandMetrics(this.#registry);
  readonly sessions = new SessionMetrics(this.#registry);
  readonly streams = new StreamMetrics(this.#registry);
  readonly connections = new ConnectionMetrics(this.#registry);
  readonly storage: StorageMetrics;

  constructor(clock: Clock) {
    this.storage = new StorageMetrics(this.#registry, clock);
  }

  /** Shows these figures too, read at each request. To be called once. */
  follow(figures: LiveFigures): void {
    addLiveFigures(this.#registry, figures);
  }

  /** Everything, in Prometheus' text format. */
  async page(): Promise<MetricsPage> {
    ofProcess ??= processRegistry();
    const all = Registry.merge([this.#registry, ofProcess]);
    return { contentType: all.contentType, body: await all.metrics() };
  }
}

function processRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
