import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type FieldViolation, FleetError } from "../../domain/errors.ts";
import { AgentStreamRequestSchema } from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import {
  AcceptanceSchema,
  type CommandResult,
  CommandResultSchema,
  type ResultPart,
  ResultPartSchema,
} from "../../gen/fairlead/agent/v1/command_pb.js";
import {
  type AgentFrame,
  AgentFrameSchema,
  AuthorityReportSchema,
  CertificateRequestSchema,
  EngineState,
  type KeyProof,
  KeyProofSchema,
} from "../../gen/fairlead/agent/v1/frame_pb.js";
import { HostPolicySchema } from "../../gen/fairlead/agent/v1/host_policy_pb.js";
import { HostEventSchema, InventoryUpdateSchema } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { WireMessage } from "../../rpc/grpc-service.ts";
import { violationsOf } from "../../rpc/message-validator.ts";
import type { KeyedTurns } from "../../resilience/keyed-turns.ts";
import { isPlainlyValid } from "../../rpc/plain-validity.ts";
import { isTime, timestampViolations } from "../../rpc/timestamp-violations.ts";
import type { HostPolicyRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { EventLog } from "../events/event-log.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import type { AgentCall } from "./agent-call.ts";
import type { AgentSession } from "./agent-session.ts";
import type { CommandTraffic } from "./command-traffic.ts";
import type { CertificateIssuance } from "./certificate-issuance.ts";
import { hexDigests } from "./authority-news.ts";
import { HostEventIntake } from "./host-event-intake.ts";
import type { KeyRotations } from "./key-rotations.ts";
import { LatestWrite } from "./latest-write.ts";
import { PolicyNews } from "./policy-news.ts";
import { ResultAssembly } from "./result-assembly.ts";
import { type SessionObserver, unobservedSessions } from "./session-observer.ts";
import type { SessionSettings } from "./session-settings.ts";

/** Whose frames. */
export interface OwnIntakeParts {
  readonly session: AgentSession;
  readonly call: AgentCall;
  /** The host's policy as the agent told it with its hello. */
  readonly policy: HostPolicyRecord | undefined;
}

/** Where the contents of frames go: one object for all sessions. */
export interface IntakeParts {
  readonly settings: SessionSettings;
  readonly traffic: CommandTraffic;
  /** Without: new keys are of no interest. */
  readonly rotations?: Pick<KeyRotations, "proved">;
  /** Without: agents are given no certificates. */
  readonly issuance?: Pick<CertificateIssuance, "take"> | undefined;
  readonly inventory: FleetInventory;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly storage: {
    readonly fleet: Pick<Storage["fleet"], "keepPolicy" | "keepAuthorities">;
    readonly events: Pick<Storage["events"], "newestOfHost">;
  };
  /** In which the sessions of a host store its events, one after the other. */
  readonly eventTurns: KeyedTurns;
  readonly observer?: SessionObserver;
}

// The tag and the length of a frame inside its message.
const envelopeBytes = 16;

// An agent that sends nothing but odd items is counted, but does not fill the event log.
const maxRefusalEvents = 100;

// An agent sends its large results one after the other; these leave room for those that do otherwise.
const assemblyLimits = { maxOpen: 64, maxBytes: 16 * 1024 * 1024 };

/** A clock that is further off than this is worth a word, docs/protocol.md "The session". */
const tolerableOffsetMs = 5_000;

/**
 * Reads the frames of one session. A message that is no frame, does not decode or is too large ends the session; an item
 * that breaks a bound costs only itself. While too many facts wait to be stored the stream is read no further, so that
 * memory stays bounded.
 */
export class FrameIntake {
  readonly #session: AgentSession;
  readonly #call: AgentCall;
  readonly #parts: IntakeParts;
  readonly #policy: PolicyNews;
  readonly #authorities: LatestWrite<string[]>;
  readonly #hostEvents: HostEventIntake;
  /** Made for the first part that comes: hardly any agent sends one. */
  #assembly: ResultAssembly | undefined;
  #refusedItems = 0;
  #engineState = EngineState.UNSPECIFIED;
  #clockToldOff = false;

  constructor({ session, call, policy }: OwnIntakeParts, parts: IntakeParts) {
    this.#session = session;
    this.#call = call;
    this.#parts = parts;
    const { storage, events } = parts;
    this.#policy = new PolicyNews({ session, policy, fleet: storage.fleet, events });
    this.#hostEvents = new HostEventIntake({ session, call }, parts);
    this.#authorities = new LatestWrite(session, "the authorities that an agent trusts", (digests) =>
      storage.fleet.keepAuthorities(session.identity.agentId, session.identity.epoch, digests),
    );
  }

  /** Starts to read, until the session ends. */
  start(): void {
    const [call, session] = [this.#call, this.#session];
    const onData = (message: WireMessage) => this.#take(message);
    const onGone = () => session.end(new FleetError("SESSION_LOST", "the agent closed the session"));
    const onLost = () => session.end(new FleetError("SESSION_LOST", "the connection to the agent was lost"));
    call.on("data", onData).on("end", onGone).on("cancelled", onLost).on("close", onLost);
    void session.ended.then(() => {
      call.off("data", onData).off("end", onGone).off("cancelled", onLost).off("close", onLost);
    });
    if (call.cancelled) onLost();
    else call.resume();
  }

  #take(message: WireMessage): void {
    const session = this.#session;
    if (session.over) return;
    try {
      const frame = this.#frameFrom(message);
      session.renew();
      if (frame !== undefined) this.#route(frame);
    } catch (error) {
      session.end(
        error instanceof FleetError
          ? error
          : new FleetError("INTERNAL", "a frame could not be taken in", { cause: error }),
      );
      if (!(error instanceof FleetError)) {
        session.logger.error({ err: error }, "a frame could not be taken in");
      }
    }
  }

  #frameFrom(message: WireMessage): AgentFrame | undefined {
    const { maxFrameBytes } = this.#parts.settings;
    if (message.byteLength > maxFrameBytes + envelopeBytes) {
      throw new FleetError(
        "PROTOCOL_VIOLATION",
        `a frame of ${message.byteLength} bytes: the limit is ${maxFrameBytes}`,
      );
    }
    const { message: content } = decode(message);
    if (content.case === "hello") {
      throw new FleetError("PROTOCOL_VIOLATION", "a second Hello in one session: expected a frame");
    }
    if (content.case === undefined) return undefined;
    const violations = violationsOf(AgentFrameSchema, content.value);
    if (violations.length > 0) {
      throw new FleetError("INVALID_ARGUMENT", "a frame breaks its bounds", { violations });
    }
    return content.value;
  }

  #route(frame: AgentFrame): void {
    const session = this.#session;
    const { traffic, inventory, issuance } = this.#parts;
    if (frame.sentTime !== undefined) this.#clock(frame.sentTime);
    for (const acceptance of this.#good(AcceptanceSchema, frame.acceptances)) {
      traffic.accepted(session, acceptance);
    }
    if (frame.keyProof !== undefined) this.#keyProof(frame.keyProof);
    for (const result of frame.results) this.#result(result);
    for (const part of frame.resultParts) this.#part(part);
    for (const update of this.#good(InventoryUpdateSchema, frame.inventory)) {
      inventory.apply(session.identity.hostId, update);
    }
    if (frame.engineState !== EngineState.UNSPECIFIED) this.#engine(frame.engineState);
    for (const policy of this.#good(HostPolicySchema, frame.hostPolicy ? [frame.hostPolicy] : [])) {
      this.#policy.take(policy);
    }
    const { authorityReport } = frame;
    for (const { digests } of this.#good(AuthorityReportSchema, authorityReport ? [authorityReport] : [])) {
      this.#authorities.take(hexDigests(digests));
    }
    const { certificateRequest } = frame;
    for (const request of this.#good(
      CertificateRequestSchema,
      certificateRequest ? [certificateRequest] : [],
    )) {
      issuance?.take(session, request);
    }
    const { hostEvents } = frame;
    if (hostEvents.length > 0) {
      this.#hostEvents.take(this.#good(HostEventSchema, hostEvents), hostEvents.length);
    }
  }

  #result(result: CommandResult): void {
    const session = this.#session;
    const { traffic } = this.#parts;
    const [violation] = itemViolations(CommandResultSchema, result);
    if (violation === undefined) {
      traffic.ended(session, result);
      return;
    }
    const what = `${violation.field}: ${violation.description}`;
    this.#refused("result", what);
    traffic.invalid(
      session,
      result.commandId,
      new FleetError("INVALID_RESULT", `the agent's result breaks a bound: ${what}`),
    );
  }

  #keyProof(proof: KeyProof): void {
    const session = this.#session;
    const { rotations } = this.#parts;
    for (const good of this.#good(KeyProofSchema, [proof])) rotations?.proved(session, good);
  }

  #part(part: ResultPart): void {
    const session = this.#session;
    const { traffic } = this.#parts;
    try {
      const [violation] = violationsOf(ResultPartSchema, part);
      this.#assembly ??= new ResultAssembly(assemblyLimits);
      const whole = this.#assembly.add(part, violation && `${violation.field}: ${violation.description}`);
      if (whole !== undefined) this.#result(fromBinary(CommandResultSchema, whole));
    } catch (error) {
      const invalid =
        error instanceof FleetError
          ? error
          : new FleetError("INVALID_RESULT", "the agent's result does not decode", { cause: error });
      this.#refused("result_part", invalid.message);
      traffic.invalid(session, part.commandId, invalid);
    }
  }

  #engine(state: EngineState): void {
    if (state === this.#engineState) return;
    const session = this.#session;
    const { inventory, events } = this.#parts;
    const { hostId, hostName } = session.identity;
    const available = state === EngineState.AVAILABLE;
    inventory.setEngine(hostId, available);
    // The first word of a session is news only when it is bad.
    if (!available || this.#engineState !== EngineState.UNSPECIFIED) {
      events.record({
        type: available ? EventType.ENGINE_AVAILABLE : EventType.ENGINE_UNAVAILABLE,
        hostId,
        hostName,
      });
    }
    this.#engineState = state;
  }

  #clock(sentTime: Timestamp): void {
    const session = this.#session;
    const { events, clock } = this.#parts;
    if (!isTime(sentTime)) {
      this.#refused("sent_time", "must be a time between the years 1 and 9999");
      return;
    }
    session.clockOffset.observe(timestampMs(sentTime), clock.now());
    const offsetMs = Math.round(session.clockOffset.ms ?? 0);
    if (this.#clockToldOff || Math.abs(offsetMs) <= tolerableOffsetMs) return;
    this.#clockToldOff = true;
    session.logger.warn({ offset_ms: offsetMs }, "the clock of a host is off");
    const { hostId, hostName, sessionId, epoch } = session.identity;
    const attributes = { session_id: sessionId, session_epoch: `${epoch}`, offset_ms: `${offsetMs}` };
    events.record({ type: EventType.CLOCK_OFF, hostId, hostName, attributes });
  }

  #good<Desc extends DescMessage>(schema: Desc, items: readonly MessageShape<Desc>[]): MessageShape<Desc>[] {
    return items.filter((item) => {
      const [violation] = itemViolations(schema, item);
      if (violation !== undefined) this.#refused(schema.name, `${violation.field}: ${violation.description}`);
      return violation === undefined;
    });
  }

  #refused(item: string, violation: string): void {
    const session = this.#session;
    const { events, observer = unobservedSessions } = this.#parts;
    this.#refusedItems += 1;
    observer.itemRefused(item);
    session.logger.warn({ item, violation, refused: this.#refusedItems }, "an item of a frame was refused");
    if (this.#refusedItems > maxRefusalEvents) return;
    const { hostId, hostName } = session.identity;
    events.record({ type: EventType.ITEM_REFUSED, hostId, hostName, attributes: { item, violation } });
  }
}

function itemViolations<Desc extends DescMessage>(schema: Desc, item: MessageShape<Desc>): FieldViolation[] {
  if (isPlainlyValid(schema, item)) return [];
  const violations = violationsOf(schema, item);
  return violations.length > 0 ? violations : timestampViolations(schema, item);
}

function decode(message: WireMessage): MessageShape<typeof AgentStreamRequestSchema> {
  try {
    return fromBinary(AgentStreamRequestSchema, message);
  } catch (error) {
    throw new FleetError("PROTOCOL_VIOLATION", "a message that does not decode", { cause: error });
  }
}
