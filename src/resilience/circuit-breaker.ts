/** When a circuit opens and closes. */
export interface CircuitSettings {
  /** How many failures within the window open it. */
  readonly failures: number;
  /** The window, in milliseconds. */
  readonly windowMs: number;
  /** How long it stays open before a probe may try, in milliseconds. */
  readonly openMs: number;
  /** How many probes in a row must succeed to close it. */
  readonly successes: number;
}

/** 5 failures in 60 s open it for 30 s; 2 probes that succeed close it. */
export const defaultCircuitSettings: CircuitSettings = {
  failures: 5,
  windowMs: 60_000,
  openMs: 30_000,
  successes: 2,
};

/** Where a circuit is; each state has only what it needs. */
export type CircuitState =
  | { readonly kind: "closed"; readonly failedAt: readonly number[] }
  | { readonly kind: "open"; readonly until: number }
  | { readonly kind: "half-open"; readonly probing: boolean; readonly successes: number };

/** What became of a call that was let through. */
export type CallOutcome = "success" | "failure" | "unknown";

/** Whether a call may go. An admitted one must say once what became of it. */
export type Admission =
  | { readonly kind: "admitted"; readonly probe: boolean }
  /** When to try again, in milliseconds from now; 0 while a probe is under way. */
  | { readonly kind: "refused"; readonly retryAfterMs: number };

const closed: CircuitState = { kind: "closed", failedAt: [] };

/** The state at `now`, before anything else happens: an open circuit lets a probe through once its time is over. */
export function afterTime(state: CircuitState, now: number): CircuitState {
  return state.kind === "open" && now >= state.until
    ? { kind: "half-open", probing: false, successes: 0 }
    : state;
}

/** Whether a call may go, and the state with it under way. */
export function admit(
  state: CircuitState,
  now: number,
): { readonly state: CircuitState; readonly admission: Admission } {
  const current = afterTime(state, now);
  switch (current.kind) {
    case "closed":
      return { state: current, admission: { kind: "admitted", probe: false } };
    case "open":
      return { state: current, admission: { kind: "refused", retryAfterMs: current.until - now } };
    case "half-open":
      return current.probing
        ? { state: current, admission: { kind: "refused", retryAfterMs: 0 } }
        : { state: { ...current, probing: true }, admission: { kind: "admitted", probe: true } };
  }
}

/**
 * The state after an admitted call has ended. Calls from before the circuit opened say nothing about it any more, unless they are the probe.
 * An unknown outcome (the caller went away) gives the probe's place free and counts for nothing.
 */
export function afterCall(
  state: CircuitState,
  probe: boolean,
  outcome: CallOutcome,
  now: number,
  settings: CircuitSettings,
): CircuitState {
  if (state.kind === "closed") {
    return outcome === "failure" ? afterFailure(state.failedAt, now, settings) : state;
  }
  if (state.kind === "open" || !probe) return state;
  if (outcome === "failure") return { kind: "open", until: now + settings.openMs };
  const successes = state.successes + (outcome === "success" ? 1 : 0);
  return successes >= settings.successes ? closed : { kind: "half-open", probing: false, successes };
}

function afterFailure(failedAt: readonly number[], now: number, settings: CircuitSettings): CircuitState {
  const recent = [...failedAt.filter((time) => time > now - settings.windowMs), now];
  return recent.length >= settings.failures
    ? { kind: "open", until: now + settings.openMs }
    : { kind: "closed", failedAt: recent };
}

/** One circuit. Times are those of a monotonic clock, in milliseconds. */
export class CircuitBreaker {
  readonly #settings: CircuitSettings;
  readonly #onChange: (from: CircuitState["kind"], to: CircuitState["kind"]) => void;
  #state: CircuitState = closed;

  constructor(
    settings: CircuitSettings,
    onChange: (from: CircuitState["kind"], to: CircuitState["kind"]) => void = () => undefined,
  ) {
    this.#settings = settings;
    this.#onChange = onChange;
  }

  /** Where it is at `now`. */
  state(now: number): CircuitState {
    this.#setState(afterTime(this.#state, now));
    return this.#state;
  }

  /** Asks whether a call may go. Whoever is admitted calls `report` once. */
  admit(now: number): Admission {
    const { state, admission } = admit(this.#state, now);
    this.#setState(state);
    return admission;
  }

  /** Says what became of an admitted call. */
  report(admission: Admission & { kind: "admitted" }, outcome: CallOutcome, now: number): void {
    this.#setState(afterCall(this.#state, admission.probe, outcome, now, this.#settings));
  }

  /** Something has changed for the better: an open circuit lets the next call probe at once. */
  encourage(): void {
    if (this.#state.kind === "open") this.#setState({ kind: "half-open", probing: false, successes: 0 });
  }

  #setState(state: CircuitState): void {
    const from = this.#state.kind;
    this.#state = state;
    if (from !== state.kind) this.#onChange(from, state.kind);
  }
}
