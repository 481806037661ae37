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

/** Leave to send one command. What became of it is to be told once, to `Circuits.left`. */
export type Passage = Admission & { readonly kind: "admitted" };

// The same for all: nothing is known of most agents, and this is asked for every command.
const free: Passage = { kind: "admitted", probe: false };

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
    if (breaker === undefined) return free;
    const admission = breaker.admit(this.#clock.monotonic());
    if (admission.kind === "refused") throw circuitOpen(host, admission.retryAfterMs);
    return admission;
  }

  /** A command that had leave to be sent ended well (undefined) or with an error. */
  left(agentId: string, passage: Passage, error: unknown): void {
    const outcome = outcomeOf(error);
    const breaker = outcome === "failure" ? this.#breakerOf(agentId) : this.#breakers.get(agentId);
    breaker?.report(passage, outcome, this.#clock.monotonic());
  }

  /** An attempt failed, and the command goes on. */
  attemptFailed(agentId: string, error: FleetError): void {
    if (!reasonTraits[error.reason].infrastructure) return;
    this.#breakerOf(agentId).report(free, "failure", this.#clock.monotonic());
  }

  /** The agent is back: the next command may probe at once. */
  encourage(agentId: string): void {
    this.#breakers.get(agentId)?.encourage();
  }

  /** The agent is gone for good. */
  forget(agentId: string): void {
    this.#breakers.delete(agentId);
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
