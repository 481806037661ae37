import type { Clock } from "../../resilience/clock.ts";
import type { Random } from "./simulated-names.ts";

/** A call that changes something, at the moment when the simulated engine carries it out. */
export interface SimulatedCall {
  readonly method:
    | "create"
    | "start"
    | "stop"
    | "restart"
    | "kill"
    | "pause"
    | "unpause"
    | "rename"
    | "remove"
    | "update"
    | "exec";
  /** As the caller said it; the name asked for when it is created. */
  readonly container: string;
  /** The new name, the signal. Empty for the rest. */
  readonly argument: string;
}

/** How a simulated engine is made. */
export interface SimulatedEngineOptions {
  readonly clock: Clock;
  /** Default: Math.random. */
  readonly random?: Random;
  /** Default: a random one. Give it, where the host shall be the same one again. */
  readonly engineId?: string;
  /** Default: "simulated". */
  readonly hostname?: string;
  /** How many containers it has from the beginning. Default: none. */
  readonly containers?: number;
  /** Images that it has besides the built-in ones. */
  readonly images?: readonly string[];
  /** Networks that it has besides bridge, host and none. */
  readonly networks?: readonly string[];
  /** How long each call takes before it does anything. Default: 0. */
  readonly latencyMs?: number;
  /** Told of each call that is carried out, whether it fails or not. What comes twice was run twice. */
  readonly observe?: (call: SimulatedCall) => void;
}
