import { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { parseRegistrationToken } from "../../domain/registration-token.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { HostFactsRecord, HostRecord, NewEvent, TokenRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { EventLog } from "../events/event-log.ts";
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

/**
 * The one answer to every proof that failed, so that nothing can be probed: neither which tokens or agents exist, nor
 * what is wrong with what was shown. The cause, which does not travel, and the event log say which it was.
 */
function notAccepted(cause: string): FleetError {
  return new FleetError(
    "UNAUTHENTICATED",
    "the control plane did not accept this identity; check the registration token (single use, 15 minutes by default), or enrol the host again with a new one",
    { cause },
  );
}

/** First contact, and who may come back. */
export class Enrolment {
  readonly #storage: Storage;
  readonly #events: EventLog;
  readonly #clock: Clock;

  constructor(parts: { storage: Storage; events: EventLog; clock: Clock }) {
    this.#storage = parts.storage;
    this.#events = parts.events;
    this.#clock = parts.clock;
  }

  /**
   * Turns a token into a host and its agent, both or none. The caller has checked the signature. Rejects with UNAUTHENTICATED
   * for every kind of wrong token, and, for a good one, with ENGINE_ALREADY_ENROLLED, HOST_NAME_IN_USE or HOST_NAME_REQUIRED;
   * a refusal does not use the token up.
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
      uniqueByName: attempt.uniqueByName,
      nameWanted: attempt.displayName !== "",
      events: ({ host, token }) => this.#enrolled(attempt, host, token),
    });
    if (result.kind === "enrolled") return result.host;
    throw this.#refuse(attempt, result.cause, result.existing, result.token);
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

  #enrolled(attempt: RegistrationAttempt, host: HostRecord, token: TokenRecord): NewEvent[] {
    const about = { hostId: host.id, hostName: host.name, actor: `token:${token.id}` };
    const attributes = { token_id: token.id, address: attempt.address, hostname: attempt.facts.hostname };
    return [
      this.#events.make({
        type: EventType.TOKEN_USED,
        ...about,
        attributes: { ...attributes, use_count: `${token.useCount}`, max_uses: `${token.maxUses}` },
      }),
      this.#events.make({
        type: EventType.HOST_ENROLLED,
        ...about,
        attributes: { ...attributes, engine_id: host.engineId, agent_id: host.agentId },
      }),
    ];
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
    if (cause === "NAME_REQUIRED") {
      return new FleetError(
        "HOST_NAME_REQUIRED",
        "a host that is told apart by its name needs one: start its agent with --name",
      );
    }
    if (existing === undefined) return notAccepted(cause);
    const metadata = { host_name: existing.name, host_id: existing.id };
    if (cause === "NAME_IN_USE") {
      return new FleetError(
        "HOST_NAME_IN_USE",
        `a host named ${existing.name} is enrolled already; choose another --name`,
        {
          metadata,
        },
      );
    }
    return new FleetError(
      "ENGINE_ALREADY_ENROLLED",
      `this engine is enrolled already, as host ${existing.name}; delete that host first (fairlead hosts rm ${existing.name}), or, if this machine is a clone of it, start its agent with --unique-by-name and a --name`,
      { metadata },
    );
  }
}

// What an agent says before it has proved anything is bounded by its message alone, and is not to fill the event log.
function clipped(text: string): string {
  return text.slice(0, 255);
}
