import { Counter, Gauge, type Registry } from "prom-client";
import type { KindOfTraffic } from "../streams/stream-traffic.ts";

/** What is read at the moment when somebody asks. */
export interface LiveFigures {
  readonly sessions: () => Iterable<{ readonly queued: { readonly items: number; readonly bytes: number } }>;
  readonly handshakes: () => number;
  /** Callers who wait for a result. */
  readonly callers: () => number;
  /** Journaled commands that have not ended. */
  readonly openCommands: () => number;
  readonly circuits: () => { readonly open: number; readonly halfOpen: number };
  readonly events: () => { readonly newest: number; readonly watchers: number; readonly lag: number };
  /** Data streams. */
  readonly streams: () => readonly KindOfTraffic[];
  readonly storageHealthy: () => boolean;
}

/** Adds gauges that show the figures as they are at each reading. */
export function addLiveFigures(registry: Registry, figures: LiveFigures): void {
  const gauge = (name: string, help: string, read: () => number) => {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      }),
    );
  };
  const queued = (what: "items" | "bytes") => () => {
    let sum = 0;
    for (const session of figures.sessions()) sum += session.queued[what];
    return sum;
  };
  gauge("fairlead_sessions", "Agents that have a session.", () => [...figures.sessions()].length);
  gauge("fairlead_handshakes", "Streams of agents that have no identity yet.", figures.handshakes);
  gauge("fairlead_agent_queue_items", "Items that wait for agents to read.", queued("items"));
  gauge("fairlead_agent_queue_bytes", "Bytes that wait for agents to read.", queued("bytes"));
  gauge("fairlead_commands_in_flight", "Callers who wait for the result of a command.", figures.callers);
  gauge("fairlead_commands_open", "Journaled commands that have not ended.", figures.openCommands);
  gauge("fairlead_event_newest_sequence", "The newest event's sequence.", () => figures.events().newest);
  gauge("fairlead_event_watchers", "Who follows the events.", () => figures.events().watchers);
  gauge(
    "fairlead_event_watcher_lag",
    "How many events the slowest of them is behind.",
    () => figures.events().lag,
  );
  gauge("fairlead_storage_healthy", "1 while the database takes writes.", () =>
    Number(figures.storageHealthy()),
  );
  addStreamFigures(registry, figures);
  registry.registerMetric(
    new Gauge({
      name: "fairlead_circuits",
      help: "Hosts whose commands are held back, by the state of their circuit.",
      labelNames: ["state"],
      registers: [],
      collect() {
        const { open, halfOpen } = figures.circuits();
        this.set({ state: "open" }, open);
        this.set({ state: "half-open" }, halfOpen);
      },
    }),
  );
}

function addStreamFigures(registry: Registry, { streams }: LiveFigures): void {
  registry.registerMetric(
    new Gauge({
      name: "fairlead_data_streams",
      help: "Data streams that are open, by the operation that asked for them.",
      labelNames: ["kind"],
      registers: [],
      collect() {
        for (const { kind, open } of streams()) this.set({ kind }, open);
      },
    }),
  );
  registry.registerMetric(
    new Counter({
      name: "fairlead_data_stream_bytes_total",
      help: "Bytes of messages on data streams, by kind; up: from agents.",
      labelNames: ["kind", "direction"],
      registers: [],
      collect() {
        this.reset();
        for (const { kind, upBytes, downBytes } of streams()) {
          this.inc({ kind, direction: "up" }, upBytes);
          this.inc({ kind, direction: "down" }, downBytes);
        }
      },
    }),
  );
}
