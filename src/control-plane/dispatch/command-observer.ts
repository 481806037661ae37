import type { CircuitState } from "../../resilience/circuit-breaker.ts";
import type { CommandRecord } from "../../storage/records.ts";

/** Who counts what becomes of commands. None of the calls may throw; those for every command are to be cheap. */
export interface CommandObserver {
  /** A command that only reads ended, well (undefined) or with an error. */
  readEnded(operation: string, error: unknown, durationMs: number): void;
  /** A journaled command ended, and its end is stored. */
  ended(record: CommandRecord): void;
  /** Something that would change something was refused before it became a command. */
  refused(operation: string, error: unknown): void;
  /** A command gets another attempt. */
  retried(operation: string): void;
  /** A result came that nobody waits for. */
  strayResult(): void;
  /** A circuit went into another state. */
  circuitChanged(to: CircuitState["kind"]): void;
}

/** Counts nothing. */
export const unobservedCommands: CommandObserver = {
  readEnded: () => undefined,
  ended: () => undefined,
  refused: () => undefined,
  retried: () => undefined,
  strayResult: () => undefined,
  circuitChanged: () => undefined,
};
