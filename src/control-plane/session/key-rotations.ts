import { createHash, randomBytes } from "node:crypto";
import { FleetError } from "../../domain/errors.ts";
import type { KeyProof } from "../../gen/fairlead/agent/v1/frame_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { Storage } from "../../storage/storage.ts";
import { provesNewKey } from "../enrolment/new-key-proof.ts";
import { type Actor, doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import type { AgentSession } from "./agent-session.ts";
import { acceptedKeyItem, rotateKeyItem } from "./control-items.ts";
import type { Sessions } from "./session-registry.ts";

/** What the rotation of keys needs. */
export interface KeyRotationParts {
  readonly sessions: Pick<Sessions, "current">;
  readonly storage: { readonly fleet: Pick<Storage["fleet"], "agent" | "changeKey"> };
  readonly events: Pick<EventLog, "make">;
  readonly wheel: TimerWheel;
  /** How long an agent may take to answer. Default: 15 s. */
  readonly answerMs?: number;
}

interface Rotation extends PromiseWithResolvers<string> {
  readonly nonce: Uint8Array;
  readonly actor: Actor;
}

/** Gives agents other keys while they are connected. One rotation at a time for each session. */
export class KeyRotations {
  readonly #parts: KeyRotationParts;
  readonly #running = new Map<AgentSession, Rotation>();

  constructor(parts: KeyRotationParts) {
    this.#parts = parts;
  }

  /**
   * Asks an agent for another key. Resolves with its SHA-256 in hex when it is stored and the old one is refused. Rejects with
   * AGENT_OFFLINE, AGENT_BUSY, AGENT_DISCONNECTED (look whether it happened), DEADLINE_EXCEEDED, CONFLICT while another rotation runs,
   * and INVALID_RESULT for a key that is not proved.
   */
  async rotate(agentId: string, actor: Actor): Promise<string> {
    const session = this.#parts.sessions.current(agentId);
    if (session === undefined) throw new FleetError("AGENT_OFFLINE", "the host's agent is not connected");
    if (this.#running.has(session)) {
      throw new FleetError("CONFLICT", "the agent is being given another key just now");
    }
    const rotation = { nonce: randomBytes(32), actor, ...Promise.withResolvers<string>() };
    this.#running.set(session, rotation);
    const giveUp = (error: FleetError) => {
      // Once the proof has come, what becomes of it is what counts.
      if (this.#running.get(session) === rotation) rotation.reject(error);
    };
    const late = this.#parts.wheel.schedule(this.#parts.answerMs ?? 15_000, () => giveUp(noAnswer()));
    void session.ended.then(() => giveUp(disconnected()));
    try {
      if (!session.send(rotateKeyItem(rotation.nonce))) {
        throw new FleetError("AGENT_BUSY", "too much waits for the agent to read");
      }
      return await rotation.promise;
    } finally {
      late.cancel();
      if (this.#running.get(session) === rotation) this.#running.delete(session);
    }
  }

  /** Takes an agent's answer. One that nobody asked for, or that came too late, changes nothing. Never throws. */
  proved(session: AgentSession, proof: KeyProof): void {
    const rotation = this.#running.get(session);
    if (rotation === undefined) {
      session.logger.warn("a new key came that nobody had asked for");
      return;
    }
    // A second proof finds nothing to answer.
    this.#running.delete(session);
    this.#store(session, proof, rotation).then(rotation.resolve, rotation.reject);
  }

  async #store(session: AgentSession, proof: KeyProof, { nonce, actor }: Rotation): Promise<string> {
    const { storage, events } = this.#parts;
    const { agentId, hostId, hostName } = session.identity;
    const oldKey = (await storage.fleet.agent(agentId))?.publicKey;
    if (oldKey === undefined) throw disconnected();
    const newKey = proof.publicKey;
    const isNew = Buffer.compare(oldKey, newKey) !== 0;
    if (!isNew || !(await provesNewKey({ ...proof, oldKey, newKey, nonce }))) {
      throw new FleetError(
        "INVALID_RESULT",
        "the agent did not prove its new key; it keeps the one that it has",
      );
    }
    const keys = { key_digest: digestOf(newKey), previous_key_digest: digestOf(oldKey) };
    const rotated = events.make({
      type: EventType.AGENT_KEY_ROTATED,
      hostId,
      hostName,
      ...doneBy(actor, keys),
    });
    if (!(await storage.fleet.changeKey(agentId, { from: oldKey, to: newKey }, [rotated]))) {
      throw new FleetError("CONFLICT", "the agent was given another key meanwhile, or deleted");
    }
    session.send(acceptedKeyItem(newKey));
    return keys.key_digest;
  }
}

function digestOf(key: Uint8Array): string {
  return createHash("sha256").update(key).digest("hex");
}

function noAnswer(): FleetError {
  return new FleetError(
    "DEADLINE_EXCEEDED",
    "the agent did not answer with a new key in time; it may be too old to know how, and its key is the one that it had",
  );
}

function disconnected(): FleetError {
  return new FleetError("AGENT_DISCONNECTED", "the agent's session ended before its new key was stored");
}
