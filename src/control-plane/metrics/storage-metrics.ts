import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Clock } from "../../resilience/clock.ts";
import type { CommitGroup, StorageObserver } from "../../storage/storage.ts";

/** Measures the group commit. */
export class StorageMetrics implements StorageObserver {
  readonly #clock: Clock;
  readonly #duration: Histogram;
  readonly #size: Histogram;
  readonly #failures: Counter;
  readonly #waiting: Gauge;

  constructor(registry: Registry, clock: Clock) {
    const registers = [registry];
    this.#clock = clock;
    this.#duration = new Histogram({
      name: "fairlead_storage_commit_duration_seconds",
      help: "How long transactions of the group commit took.",
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    });
    this.#size = new Histogram({
      name: "fairlead_storage_commit_batches",
      help: "How many writes shared one transaction.",
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024],
      registers,
    });
    this.#failures = new Counter({
      name: "fairlead_storage_commit_failures_total",
      help: "Transactions of the group commit that failed.",
      registers,
    });
    this.#waiting = new Gauge({
      name: "fairlead_storage_writes_waiting",
      help: "Writes that waited for the next transaction when the latest one began.",
      registers,
    });
  }

  committing({ batches, waiting }: CommitGroup): (committed: boolean) => void {
    const startedAt = this.#clock.monotonic();
    this.#size.observe(batches);
    this.#waiting.set(waiting);
    return (committed) => {
      this.#duration.observe((this.#clock.monotonic() - startedAt) / 1_000);
      if (!committed) this.#failures.inc();
    };
  }
}
