import type { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { parseRegistrationToken } from "../../domain/registration-token.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { HostFactsRecord, HostRecord, NewEvent, TokenRecord } from "../../storage/records.ts";
import type { EnrolledHost } from "../../storage/fleet-repository.ts";
import type { Storage } from "../../storage/storage.ts";
import type { EventLog } from "../events/event-log.ts";
import { enrolmentRefusal, notAccepted } from "./enrolment-refusal.ts";
import { secretHash } from "./registration-token.ts";

/** Who wants in, and with what. */
export interface RegistrationAttempt {
  readonly token: string;
  readonly publicKey: Uint8Array;
  /** Empty: the host's own name. */
  readonly displayName: string;
  readonly uniqueByName: boolean;
  readonly facts: HostFactsRecord;
  readonly agentVersion: string;
  /** Where from. */
  readonly address: string;
}

/** Who claims to be back. */
export interface ReconnectionAttempt {
  readonly agentId: string;
  readonly address: string;
}

/** What an enrolment needs. */
export interface EnrolmentParts {
  readonly storage: Storage;
  readonly events: EventLog;
  readonly clock: Clock;
  /** Is told when a host has a new agent in place of this one, which is nobody any more. Must not reject. */
  readonly onReplaced?: (agentId: string) => Promise<void>;
}

/** First contact, and who may come back. */
export class Enrolment {
  readonly #storage: Storage;
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #onReplaced: (agentId: string) => Promise<void>;

  constructor(parts: EnrolmentParts) {
    this.#storage = parts.storage;
    this.#events = parts.events;
    this.#clock = parts.clock;
    this.#onReplaced = parts.onReplaced ?? (async () => undefined);
  }

  /**
   * Turns a token into a host and its agent, both or none; one made for a host into a new agent of that host; one that this key has turned
   * into a host before into the same host once more. The caller has checked the signature. Rejects with UNAUTHENTICATED for every kind of
   * wrong token, and, for a good one, with ENGINE_ALREADY_ENROLLED, ENGINE_BANNED, HOST_NAME_IN_USE or HOST_NAME_REQUIRED; a
   * refusal does not use the token up.
   */
  async register(attempt: RegistrationAttempt): Promise<HostRecord> {
    const token = parseRegistrationToken(attempt.token);
    if (token === undefined) throw this.#refuse(attempt, "MALFORMED", undefined);
    const result = await this.#storage.fleet.enrol({
      secretHash: secretHash(token.secret),
      now: this.#clock.now(),
      host: {
        id: newId(),
        name: attempt.displayName || attempt.facts.hostname || `host-${attempt.facts.engineId.slice(0, 12)}`,
        engineId: attempt.facts.engineId,
        facts: attempt.facts,
        agentVersion: attempt.agentVersion,
      },
      agent: { id: newId(), publicKey: attempt.publicKey },
      address: attempt.address,
      uniqueByName: attempt.uniqueByName,
      nameWanted: attempt.displayName !== "",
      events: (enrolled) => this.#enrolled(attempt, enrolled),
    });
    if (result.kind === "refused") {
      if (result.cause === "USED_UP") this.#reused(attempt, result.token);
      throw this.#refuse(attempt, result.cause, result.existing, result.token);
    }
    if (result.previous !== undefined) await this.#onReplaced(result.previous.agentId);
    return result.host;
  }

  /** The host of an agent that says it is back. Rejects with UNAUTHENTICATED when nobody knows it. */
  async returning(attempt: ReconnectionAttempt): Promise<HostRecord> {
    const host = await this.#storage.fleet.agent(attempt.agentId);
    if (host !== undefined) return host;
    throw this.refuseReturn(attempt, "UNKNOWN_AGENT");
  }

  /** Writes down that a reconnection was refused. Returns the answer for an agent that has not proved its key. */
  refuseReturn(attempt: ReconnectionAttempt, cause: string, host?: HostRecord): FleetError {
    this.#events.record({
      type: EventType.RECONNECTION_REFUSED,
      ...(host === undefined ? {} : { hostId: host.id, hostName: host.name }),
      attributes: { cause, address: attempt.address, agent_id: clipped(attempt.agentId) },
    });
    return notAccepted(cause);
  }

  /** Writes down that an enrolment was refused for want of a proof. Returns the answer. */
  refuseSignature(attempt: Pick<RegistrationAttempt, "address" | "facts">): FleetError {
    return this.#refuse(attempt, "SIGNATURE", undefined);
  }

  #enrolled(attempt: RegistrationAttempt, { host, token, manner, previous }: EnrolledHost): NewEvent[] {
    const about = { hostId: host.id, hostName: host.name, actor: `token:${token.id}` };
    const attributes = { token_id: token.id, address: attempt.address, hostname: attempt.facts.hostname };
    const identity = { ...attributes, engine_id: host.engineId, agent_id: host.agentId };
    if (manner === "repeated") {
      return [this.#events.make({ type: EventType.ENROLMENT_REPEATED, ...about, attributes: identity })];
    }
    const replaced =
      previous === undefined
        ? {}
        : { previous_agent_id: previous.agentId, previous_engine_id: previous.engineId };
    return [
      this.#events.make({
        type: EventType.TOKEN_USED,
        ...about,
        attributes: { ...attributes, use_count: `${token.useCount}`, max_uses: `${token.maxUses}` },
      }),
      this.#events.make({
        type: manner === "new" ? EventType.HOST_ENROLLED : EventType.HOST_RE_ENROLLED,
        ...about,
        attributes: { ...identity, ...replaced },
      }),
    ];
  }

  /** A single-use token that is spent was shown by somebody else: one of the two should not have had it. */
  #reused({ address, facts }: RegistrationAttempt, token: TokenRecord | undefined): void {
    const used = token?.lastUse;
    if (token === undefined || used === undefined || token.maxUses !== 1) return;
    this.#events.record({
      type: EventType.TOKEN_REUSED,
      hostId: used.hostId,
      hostName: used.hostName,
      attributes: {
        token_id: token.id,
        used_hostname: used.hostname,
        used_engine_id: used.engineId,
        used_address: used.address,
        used_time: new Date(used.useTime).toISOString(),
        hostname: facts.hostname,
        engine_id: facts.engineId,
        address,
      },
    });
  }

  #refuse(
    attempt: Pick<RegistrationAttempt, "address" | "facts">,
    cause: string,
    existing: HostRecord | undefined,
    token?: TokenRecord,
  ): FleetError {
    const { hostname, engineId } = attempt.facts;
    this.#events.record({
      type: EventType.ENROLMENT_REFUSED,
      ...(existing === undefined ? {} : { hostId: existing.id, hostName: existing.name }),
      attributes: {
        cause,
        address: attempt.address,
        hostname: clipped(hostname),
        engine_id: clipped(engineId),
        ...(token === undefined ? {} : { token_id: token.id }),
      },
    });
    return enrolmentRefusal(cause, existing);
  }
}

// What an agent says before it has proved anything is bounded by its message alone, and is not to fill the event log.
function clipped(text: string): string {
  return text.slice(0, 255);
}
