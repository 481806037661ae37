import { Counter, Histogram, type Registry } from "prom-client";
import { FleetError, isReason } from "../../domain/errors.ts";
import type { CircuitState } from "../../resilience/circuit-breaker.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { CommandObserver } from "../dispatch/command-observer.ts";
import { children } from "./children.ts";

/** Upper bounds of durations, in seconds: from a read over loopback to a queued command. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Counts commands. Operations, reasons and states are closed lists, so that the number of series is bounded. */
export class CommandMetrics implements CommandObserver {
  readonly #ended: (operation: string, reason: string) => Counter.Internal;
  readonly #refused: (operation: string, reason: string) => Counter.Internal;
  readonly #retries: (operation: string) => Counter.Internal;
  readonly #durations: (operation: string) => Histogram.Internal<"operation">;
  readonly #circuits: (to: string) => Counter.Internal;
  readonly #strayResults: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
      new Counter({ name, help, labelNames, registers });
    const ended = counter(
      "fairlead_commands_ended_total",
      "Commands that ended, by operation and reason; reason OK: well.",
      ["operation", "reason"],
    );
    const refused = counter(
      "fairlead_commands_refused_total",
      "Requests for a change that were refused before they became a command, by operation and reason.",
      ["operation", "reason"],
    );
    const retries = counter("fairlead_command_retries_total", "Attempts after the first, by operation.", [
      "operation",
    ]);
    const circuits = counter("fairlead_circuit_transitions_total", "Circuits that went into a state.", [
      "to",
    ]);
    const durations = new Histogram({
      name: "fairlead_command_duration_seconds",
      help: "How long commands took, from the request to the stored end, by operation.",
      labelNames: ["operation"],
      buckets: durationBuckets,
      registers,
    });
    this.#strayResults = counter(
      "fairlead_stray_results_total",
      "Results of agents that nobody waited for.",
      [],
    );
    this.#ended = children((operation, reason) => ended.labels(operation, reason));
    this.#refused = children((operation, reason) => refused.labels(operation, reason));
    const retriesOf = children((operation) => retries.labels(operation));
    const durationsOf = children((operation) => durations.labels(operation));
    const circuitsTo = children((to) => circuits.labels(to));
    this.#retries = (operation) => retriesOf(operation, "");
    this.#durations = (operation) => durationsOf(operation, "");
    this.#circuits = (to) => circuitsTo(to, "");
  }

  readEnded(operation: string, error: unknown, durationMs: number): void {
    this.#ended(operation, reasonOf(error)).inc();
    this.#durations(operation).observe(durationMs / 1_000);
  }

  ended({ operation, reason, createTime, endTime = createTime }: CommandRecord): void {
    this.#ended(operation, knownReason(reason)).inc();
    // By the wall clock, which can be set back.
    this.#durations(operation).observe(Math.max(0, endTime - createTime) / 1_000);
  }

  refused(operation: string, error: unknown): void {
    this.#refused(operation, reasonOf(error)).inc();
  }

  retried(operation: string): void {
    this.#retries(operation).inc();
  }

  strayResult(): void {
    this.#strayResults.inc();
  }

  circuitChanged(to: CircuitState["kind"]): void {
    this.#circuits(to).inc();
  }
}

function reasonOf(error: unknown): string {
  if (error === undefined) return "OK";
  return error instanceof FleetError ? error.reason : "INTERNAL";
}

// A newer version may have written another one into the journal.
function knownReason(reason: string): string {
  if (reason === "") return "OK";
  return isReason(reason) ? reason : "OPERATION_FAILED";
}
