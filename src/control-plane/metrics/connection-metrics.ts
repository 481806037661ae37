import { Counter, type Registry } from "prom-client";
import type { CutCause } from "../../rpc/cut-connections.ts";

/** Counts connections of both ports that were ended for what was sent on them. */
export class ConnectionMetrics {
  readonly #cut: Counter<"port" | "cause">;

  constructor(registry: Registry) {
    this.#cut = new Counter({
      name: "fairlead_connections_cut_total",
      help: "Connections that were ended for what was sent on them, by port and cause.",
      labelNames: ["port", "cause"],
      registers: [registry],
    });
  }

  /** One was ended. */
  cut(port: string, cause: CutCause): void {
    this.#cut.inc({ port, cause });
  }
}
