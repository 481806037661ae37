import { Counter, type Registry } from "prom-client";
import type { Reason } from "../../domain/errors.ts";
import type { StreamObserver } from "../streams/stream-observer.ts";

/** Counts data streams that did not come about. Kinds and reasons are closed lists, so that the number of series is bounded. */
export class StreamMetrics implements StreamObserver {
  readonly #notOpened: Counter<"kind" | "reason">;
  readonly #refused: Counter<"reason">;

  constructor(registry: Registry) {
    this.#notOpened = new Counter({
      name: "fairlead_data_streams_not_opened_total",
      help: "Data streams that callers asked for and did not get, by kind and reason.",
      labelNames: ["kind", "reason"],
      registers: [registry],
    });
    this.#refused = new Counter({
      name: "fairlead_data_streams_refused_total",
      help: "Data streams that agents opened without a good ticket, by reason.",
      labelNames: ["reason"],
      registers: [registry],
    });
  }

  notOpened(kind: string, reason: Reason): void {
    this.#notOpened.inc({ kind, reason });
  }

  refused(reason: Reason): void {
    this.#refused.inc({ reason });
  }
}
