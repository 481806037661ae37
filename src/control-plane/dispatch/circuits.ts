import type { Logger } from "pino";
import { FleetError, reasonTraits } from "../../domain/errors.ts";
import {
  type Admission,
  CircuitBreaker,
  type CircuitSettings,
  type CircuitState,
} from "../../resilience/circuit-breaker.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { CommandTarget } from "./dispatch-request.ts";

/** Leave to send one command. What became of it is to be told once, by `ended`. */
export interface Passage {
  /** Undefined: it succeeded. */
  ended(error: unknown): void;
}

/** One circuit for each agent that has ever failed. Only the way to the engine counts, never what the engine says of a request. */
export class Circuits {
  readonly #settings: CircuitSettings;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #breakers = new Map<string, CircuitBreaker>();
  readonly #onChange: (agentId: string, state: CircuitState["kind"]) => void;

  constructor(parts: {
    circuit: CircuitSettings;
    clock: Clock;
    logger: Logger;
    onCircuitChange?: (agentId: string, state: CircuitState["kind"]) => void;
  }) {
    this.#settings = parts.circuit;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#onChange = parts.onCircuitChange ?? (() => undefined);
  }

  /** Where an agent's circuit is. */
  state(agentId: string): CircuitState["kind"] {
    return this.#breakers.get(agentId)?.state(this.#clock.monotonic()).kind ?? "closed";
  }

  /** How many circuits are not closed. */
  count(): { readonly open: number; readonly halfOpen: number } {
    const now = this.#clock.monotonic();
    const kinds = [...this.#breakers.values()].map((breaker) => breaker.state(now).kind);
    return {
      open: kinds.filter((kind) => kind === "open").length,
      halfOpen: kinds.filter((kind) => kind === "half-open").length,
    };
  }

  /** Leave to send a command to the agent. Throws CIRCUIT_OPEN, with the time after which to try again. */
  enter(host: CommandTarget): Passage {
    const breaker = this.#breakers.get(host.agentId);
    const admission: Admission = breaker?.admit(this.#clock.monotonic()) ?? {
      kind: "admitted",
      probe: false,
    };
    if (admission.kind === "refused") throw circuitOpen(host, admission.retryAfterMs);
    return { ended: (error) => this.#report(host.agentId, admission, error) };
  }

  /** An attempt failed, and the command goes on. */
  attemptFailed(agentId: string, error: FleetError): void {
    if (!reasonTraits[error.reason].infrastructure) return;
    this.#breakerOf(agentId).report({ kind: "admitted", probe: false }, "failure", this.#clock.monotonic());
  }

  /** The agent is back: the next command may probe at once. */
  encourage(agentId: string): void {
    this.#breakers.get(agentId)?.encourage();
  }

  /** The agent is gone for good. */
  forget(agentId: string): void {
    this.#breakers.delete(agentId);
  }

  #report(agentId: string, admission: Admission & { kind: "admitted" }, error: unknown): void {
    const outcome = outcomeOf(error);
    const breaker = outcome === "failure" ? this.#breakerOf(agentId) : this.#breakers.get(agentId);
    breaker?.report(admission, outcome, this.#clock.monotonic());
  }

  #breakerOf(agentId: string): CircuitBreaker {
    const known = this.#breakers.get(agentId);
    if (known !== undefined) return known;
    const breaker = new CircuitBreaker(this.#settings, (from, to) => {
      this.#logger[to === "open" ? "warn" : "info"]({ agent_id: agentId, from, to }, "circuit changed");
      this.#onChange(agentId, to);
    });
    this.#breakers.set(agentId, breaker);
    return breaker;
  }
}

// Whoever gives up on a call says nothing about the way to the engine; an answer of the engine, good or bad, says that it is free.
function outcomeOf(error: unknown): "success" | "failure" | "unknown" {
  if (error === undefined) return "success";
  if (!(error instanceof FleetError)) return "unknown";
  return reasonTraits[error.reason].infrastructure ? "failure" : "success";
}

function circuitOpen({ hostId, hostName }: CommandTarget, retryAfterMs: number): FleetError {
  return new FleetError(
    "CIRCUIT_OPEN",
    `commands to host ${hostName} have failed again and again on their way to its engine, and are held back for a while`,
    {
      metadata: { host_id: hostId, host_name: hostName },
      retryAfterMs: Math.max(1_000, Math.ceil(retryAfterMs)),
    },
  );
}
