import { FleetError } from "../../domain/errors.ts";
import type { Welcome } from "../../gen/fairlead/agent/v1/handshake_pb.js";
import { fullJitterMs } from "../../resilience/backoff.ts";
import { withDeadline } from "../../resilience/deadline.ts";
import type { EngineFacts } from "../engine/engine.ts";
import { afterSession, type SessionEnd } from "./reconnect.ts";
import { Session, type SessionRooms } from "./session.ts";

/** What the sessions of an agent are about now. */
export type LoopState = "connecting" | "online" | "waiting";

const factsMs = 10_000;
const factsBackoff = { baseMs: 200, capMs: 5000 };

/** Session after session, as long as the agent lives: dials, holds, waits as long as it should, dials again. */
export class SessionLoop {
  readonly #rooms: SessionRooms;
  readonly #onWelcome: (welcome: Welcome) => void;
  #state: LoopState = "connecting";
  #facts: EngineFacts | undefined;
  #finish: (() => Promise<void>) | undefined;
  #finishing = false;
  #held: Promise<unknown> = Promise.resolve();

  /** `onWelcome` is called at the beginning of each session. */
  constructor(rooms: SessionRooms, onWelcome: (welcome: Welcome) => void) {
    this.#rooms = rooms;
    this.#onWelcome = onWelcome;
  }

  get state(): LoopState {
    return this.#state;
  }

  /** Runs until the signal aborts (resolves to undefined) or enrolment is refused (resolves to the refusal). */
  async run(signal: AbortSignal): Promise<FleetError | undefined> {
    const { clock, random } = this.#rooms.config;
    let failures = 0;
    while (!signal.aborted) {
      this.#state = "connecting";
      const facts = await this.#engineFacts(signal);
      if (facts === undefined) return undefined;
      const session = new Session(this.#rooms, facts, (welcome, finish) => this.#begin(welcome, finish));
      const held = session.hold(signal);
      this.#held = held;
      const end = await held;
      this.#finish = undefined;
      if (signal.aborted || this.#finishing) return undefined;
      const next = afterSession(end, failures, this.#rooms.identity.agentId !== undefined, random);
      this.#log(end, next);
      if (next.kind === "stop") return end.error;
      failures = next.failures;
      this.#state = "waiting";
      await clock.sleep(next.ms, signal).catch(() => undefined);
    }
    return undefined;
  }

  /** Sends what waits in the session of the moment, ends its stream in order, and dials no more. */
  async finish(): Promise<void> {
    this.#finishing = true;
    if (this.#finish === undefined) return;
    await this.#finish();
    await this.#held;
  }

  #begin(welcome: Welcome, finish: () => Promise<void>): void {
    const { agentId, hostId, hostName, sessionEpoch, sessionId } = welcome;
    this.#state = "online";
    this.#finish = finish;
    const fields = { agent_id: agentId, host_id: hostId, session_id: sessionId, session_epoch: sessionEpoch };
    this.#rooms.config.logger.info({ ...fields, host_name: hostName }, "online");
    this.#onWelcome(welcome);
  }

  #log({ error, livedMs }: SessionEnd, next: ReturnType<typeof afterSession>): void {
    const { identity, config } = this.#rooms;
    const waitMs = next.kind === "wait" ? Math.round(next.ms) : undefined;
    const fields = { agent_id: identity.agentId, reason: error.reason, lived_ms: livedMs, wait_ms: waitMs };
    if (next.advice === undefined) {
      config.logger.warn(fields, `session ended: ${error.message}`);
      return;
    }
    const { advice } = next;
    config.logger.error(
      fields,
      `the control plane refuses this agent: ${error.message}. What to do: ${advice}`,
    );
  }

  /** What the engine says now, else what it said last; waits for its first answer. Undefined: aborted. */
  async #engineFacts(parent: AbortSignal): Promise<EngineFacts | undefined> {
    const { clock, engine, logger, random } = this.#rooms.config;
    for (let failures = 0; !parent.aborted; failures += 1) {
      try {
        this.#facts = await withDeadline({ ms: factsMs, clock, parent, late: engineIsLate }, (signal) =>
          engine.facts(signal),
        );
        return this.#facts;
      } catch (error) {
        if (parent.aborted) return undefined;
        if (this.#facts !== undefined) return this.#facts;
        logger.warn({ err: error }, "waiting for the engine to answer for the first time");
        await clock.sleep(fullJitterMs(failures, factsBackoff, random), parent).catch(() => undefined);
      }
    }
    return undefined;
  }
}

function engineIsLate(): FleetError {
  return new FleetError("ENGINE_UNAVAILABLE", `the engine did not answer within ${factsMs} ms`);
}
