import type { Direction } from "./fault-proxy.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** What can be done to a running fleet. */
export type FaultKind =
  | "kill-agent"
  | "kill-agent-and-journal"
  | "isolate-and-kill-agent"
  | "kill-control-plane"
  | "freeze-agent"
  | "replace-agent"
  | "double-agent"
  | "freeze-control-plane"
  | "cut"
  | "reset"
  | "stall"
  | "half-open"
  | "refuse"
  | "stop-engine";

/** How often each kind is chosen; 0 or missing: never. */
export type FaultWeights = Readonly<Partial<Record<FaultKind, number>>>;

/** Something that is done to a fleet. */
export interface Fault {
  readonly kind: FaultKind;
  /** The host whose agent or connection it is about. Empty: the API's connections. */
  readonly host: string;
  readonly direction: Direction;
  /** How long it lasts; how long what was killed stays away; how long what was replaced still acts, before it is killed. */
  readonly ms: number;
}

/** The usual mixture. */
export const usualFaults: FaultWeights = {
  "kill-agent": 4,
  "kill-agent-and-journal": 1,
  "isolate-and-kill-agent": 2,
  "kill-control-plane": 3,
  "freeze-agent": 1,
  "replace-agent": 1,
  "double-agent": 1,
  "freeze-control-plane": 1,
  cut: 4,
  reset: 3,
  stall: 2,
  "half-open": 4,
  refuse: 2,
  "stop-engine": 2,
};

/** The next fault. The same seed gives the same ones in the same order. */
export function draftFault(weights: FaultWeights, hosts: readonly string[], random: SeededRandom): Fault {
  const kind = random.weighted(weights);
  const isOfTheWay = ["cut", "reset", "stall", "half-open", "refuse"].includes(kind);
  return {
    kind,
    host: isOfTheWay && random.chance(0.3) ? "" : random.pick(hosts),
    direction: random.pick(["up", "down"]),
    ms: Math.round(random.between(...lengthOf(kind))),
  };
}

function lengthOf(kind: FaultKind): [number, number] {
  switch (kind) {
    case "freeze-agent":
    case "freeze-control-plane":
      return [100, 2_000];
    case "half-open":
      return [50, 2_500];
    default:
      return [0, 400];
  }
}

/** A fault in one line, for people. */
export function faultText({ kind, host, direction, ms }: Fault): string {
  const where = host === "" ? "api" : host;
  switch (kind) {
    case "kill-control-plane":
    case "freeze-control-plane":
      return `${kind} ${ms} ms`;
    case "stall":
    case "half-open":
      return `${kind} ${where} ${direction} ${ms} ms`;
    case "cut":
    case "reset":
      return `${kind} ${where}`;
    default:
      return `${kind} ${where} ${ms} ms`;
  }
}
