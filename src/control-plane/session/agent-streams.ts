import type { X509Certificate } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { ControlFrameSchema } from "../../gen/fairlead/agent/v1/frame_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { KeyedTurns } from "../../resilience/keyed-turns.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Enrolment } from "../enrolment/enrolment.ts";
import type { EventLog } from "../events/event-log.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { type AgentCall, sendMessage } from "./agent-call.ts";
import type { AgentCertificates } from "../certificates/agent-certificates.ts";
import type { AuthorityNews } from "./authority-news.ts";
import { AgentSession, type SessionIdentity } from "./agent-session.ts";
import { type CertificateIssuance, issuedEvent } from "./certificate-issuance.ts";
import { CloneGuard } from "./clone-guard.ts";
import type { CommandTraffic } from "./command-traffic.ts";
import { type Disconnect, endCall } from "./end-call.ts";
import { FrameIntake, type IntakeParts } from "./frame-intake.ts";
import { type Handshaken, shakeHands } from "./handshake.ts";
import type { KeyRotations } from "./key-rotations.ts";
import { recordPolicyChange } from "./policy-news.ts";
import type { Reception } from "./reception.ts";
import { type SessionObserver, unobservedSessions } from "./session-observer.ts";
import { RefusalLog } from "./refusal-log.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { SessionSettings } from "./session-settings.ts";

/** What agents' streams need. */
export interface AgentStreamsParts {
  readonly enrolment: Enrolment;
  readonly reception: Reception;
  readonly registry: SessionRegistry;
  readonly storage: Storage;
  readonly inventory: FleetInventory;
  readonly events: EventLog;
  readonly traffic: CommandTraffic;
  readonly rotations?: Pick<KeyRotations, "proved">;
  /** Without: agents are given no certificates. */
  readonly certificates?: AgentCertificates | undefined;
  readonly issuance?: Pick<CertificateIssuance, "take" | "want"> | undefined;
  /** Without: agents are told of no authority. */
  readonly authorityNews?: Pick<AuthorityNews, "greet">;
  readonly settings: SessionSettings;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly observer?: SessionObserver;
}

/** Within which time an agent that has no certificate of the authority in force is to ask for one, in milliseconds. */
const certificateWithinMs = 5 * 60_000;

/** How long a clone is to stay away before it tries again, in milliseconds. */
const cloneRetryAfterMs = 60_000;

/** Leads each stream of an agent from its first byte to its end: handshake, admission, frames, farewell. */
export class AgentStreams {
  readonly #parts: AgentStreamsParts;
  readonly #reception: Reception;
  readonly #refusals: RefusalLog;
  readonly #running = new Set<Promise<void>>();
  readonly #clones = new CloneGuard();
  readonly #intakeParts: IntakeParts;
  readonly #observer: SessionObserver;
  #draining: FleetError | undefined;

  constructor(parts: AgentStreamsParts) {
    this.#parts = parts;
    this.#reception = parts.reception;
    this.#intakeParts = { ...parts, eventTurns: new KeyedTurns() };
    this.#refusals = new RefusalLog(parts);
    this.#observer = parts.observer ?? unobservedSessions;
  }

  /** How many streams have no identity yet. */
  get handshakes(): number {
    return this.#reception.size;
  }

  /**
   * Takes a new stream. Never throws; whatever goes wrong ends the stream with its reason, and the connection of a peer that does not read
   * it by `disconnect`. `certificate` is what the agent showed in the TLS handshake.
   */
  take(call: AgentCall, disconnect?: Disconnect, certificate?: X509Certificate): void {
    this.#keepTrackOf(
      this.#serve(call, disconnect, certificate).catch((error: unknown) =>
        this.#refuse(call, error, disconnect),
      ),
    );
  }

  /** Accepts no new session, and tells every agent to come back at some moment within `reconnectAfterMs`. */
  drain(reconnectAfterMs: number): void {
    if (this.#draining !== undefined) return;
    this.#draining = new FleetError("DRAINING", "the control plane is going away", {
      retryAfterMs: reconnectAfterMs,
    });
    this.#reception.dismiss(this.#draining);
    const drain = { reason: this.#draining.message, reconnectAfter: durationFromMs(reconnectAfterMs) };
    const frame = toBinary(ControlFrameSchema, create(ControlFrameSchema, { drain }));
    for (const session of this.#parts.registry.all()) session.send(frame);
  }

  /** Ends every session and waits until all that was to be written about them is written. */
  async close(): Promise<void> {
    this.drain(0);
    const reason = this.#draining ?? new FleetError("DRAINING", "the control plane is going away");
    const sessions = [...this.#parts.registry.all()];
    for (const session of sessions) session.end(reason);
    await Promise.all(sessions.map(({ ended }) => ended));
    // A stream that was just heard may have become a session, which is to have its farewell too.
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** `work` must not reject. */
  #keepTrackOf(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  async #serve(
    call: AgentCall,
    disconnect: Disconnect | undefined,
    certificate: X509Certificate | undefined,
  ): Promise<void> {
    if (this.#draining !== undefined) throw this.#draining;
    const session = await this.#receive(call, disconnect, certificate);
    // Nobody waits meanwhile: what waits keeps all that it knows, and thousands of sessions are idle.
    void session.ended.then((reason) => this.#keepTrackOf(this.#farewell(session, reason)));
  }

  async #receive(
    call: AgentCall,
    disconnect: Disconnect | undefined,
    certificate: X509Certificate | undefined,
  ): Promise<AgentSession> {
    const parts = { ...this.#parts, certificate };
    const handshaken = await this.#reception.receive(call, (signal) => shakeHands(call, parts, signal));
    return await this.#open(call, handshaken, disconnect);
  }

  #refuse(call: AgentCall, error: unknown, disconnect: Disconnect | undefined): void {
    const { logger, wheel } = this.#parts;
    this.#observer.refused(error instanceof FleetError ? error.reason : "INTERNAL");
    if (error instanceof FleetError) this.#refusals.refused(call.getPeer(), "an agent's stream", error);
    endCall(call, error, { logger, wheel, disconnect });
  }

  /** The epoch is stored before the welcome is sent, and the older session is over before this one takes commands. */
  async #open(
    call: AgentCall,
    handshaken: Handshaken,
    disconnect: Disconnect | undefined,
  ): Promise<AgentSession> {
    const { host, hello } = handshaken;
    const acknowledged = await this.#parts.traffic.settled(host.agentId, hello.heldResultCommandIds);
    const identity = await this.#begin(call, handshaken);
    const session = new AgentSession({ identity, call, disconnect }, this.#parts);
    this.#admit(session);
    try {
      this.#welcome(session, call, { acknowledged, issued: handshaken.issued });
      // Told only now: an agent that was just enrolled must learn its id, because its token is spent.
      if (this.#draining !== undefined) session.end(this.#draining);
      else this.#start(session, call, handshaken);
    } catch (error) {
      // It counts already, so that it needs its farewell like any other.
      session.logger.error({ err: error }, "a session could not be started");
      session.end(new FleetError("INTERNAL", "the session could not be started", { cause: error }));
    }
    return session;
  }

  async #begin(call: AgentCall, { host, hello, facts }: Handshaken): Promise<SessionIdentity> {
    const { storage, clock } = this.#parts;
    const { agentVersion } = hello;
    const instanceId = Buffer.from(hello.instanceId).toString("hex");
    this.#refuseClone(call, host.agentId, instanceId);
    const journalId = Buffer.from(hello.journalId).toString("hex");
    const start = { now: clock.now(), facts, agentVersion, instanceId, journalId };
    const begun = await storage.fleet.beginSession(host.agentId, start);
    if (begun === undefined) {
      throw new FleetError("AGENT_REVOKED", `host ${host.name} was deleted; enrol it again with a new token`);
    }
    return {
      sessionId: newId(),
      agentId: host.agentId,
      hostId: host.id,
      // It may have been renamed since it was read.
      hostName: this.#parts.inventory.host(host.id)?.hostName ?? begun.host.name,
      epoch: begun.epoch,
      journalId,
      instanceId,
      address: call.getPeer(),
    };
  }

  /** Before anything is stored: the one that stays keeps its epoch. */
  #refuseClone(call: AgentCall, agentId: string, instanceId: string): void {
    const { registry, clock } = this.#parts;
    const incumbent = registry.current(agentId);
    const verdict = this.#clones.judge(
      agentId,
      incumbent?.identity.instanceId,
      instanceId,
      clock.monotonic(),
    );
    if (incumbent === undefined || verdict.kind === "admitted") return;
    if (verdict.news) {
      const attributes = { address: call.getPeer(), instance_id: instanceId };
      this.#record(EventType.IDENTITY_IN_USE, incumbent, attributes);
    }
    const { hostName, address } = incumbent.identity;
    throw new FleetError(
      "IDENTITY_IN_USE",
      `another process uses the identity of host ${hostName}, from ${address}, and keeps its session; stop one of the two, or enrol this one with a token of its own`,
      { metadata: { host_name: hostName }, retryAfterMs: cloneRetryAfterMs },
    );
  }

  #welcome(
    { identity, logger }: AgentSession,
    call: AgentCall,
    { acknowledged, issued }: Pick<Handshaken, "issued"> & { readonly acknowledged: string[] },
  ): void {
    const { settings, clock, inventory } = this.#parts;
    const { agentId, hostId, hostName, sessionId, epoch, address } = identity;
    sendMessage(call, {
      case: "welcome",
      value: {
        agentId,
        hostId,
        hostName,
        sessionId,
        sessionEpoch: epoch,
        heartbeatInterval: durationFromMs(settings.heartbeatIntervalMs),
        leaseDuration: durationFromMs(settings.leaseMs),
        maxFrameBytes: settings.maxFrameBytes,
        acknowledgedCommandIds: acknowledged,
        serverTime: timestampFromMs(clock.now()),
        ...(issued && { certificate: issued.der }),
        acknowledgesHostEvents: true,
      },
    });
    inventory.setHost(identity);
    if (issued !== undefined) this.#parts.events.record(issuedEvent({ hostId, hostName }, issued));
    logger.info({ session_id: sessionId, address }, "session opened");
  }

  #start(session: AgentSession, call: AgentCall, handshaken: Handshaken): void {
    const { traffic, inventory, authorityNews, issuance } = this.#parts;
    const { host, hello, facts, wantsCertificate } = handshaken;
    const { hostId, address } = session.identity;
    inventory.resetSnapshot(hostId);
    inventory.setOnline(hostId, true);
    this.#record(EventType.HOST_ONLINE, session, { address });
    recordPolicyChange(this.#parts.events, session.identity, host.facts.policy, facts.policy);
    this.#observer.opened();
    traffic.opened(session, hello);
    authorityNews?.greet(session, facts.authorities ?? []);
    if (wantsCertificate) issuance?.want(session, certificateWithinMs);
    new FrameIntake({ session, call, policy: facts.policy }, this.#intakeParts).start();
  }

  #admit(session: AgentSession): void {
    let older: AgentSession | undefined;
    try {
      older = this.#parts.registry.admit(session);
    } catch (error) {
      session.end(
        error instanceof FleetError
          ? error
          : new FleetError("INTERNAL", "admission failed", { cause: error }),
      );
      throw error;
    }
    if (older === undefined) return;
    // Its reads fail, and its journaled commands are compared with the hello, before the new session takes any.
    this.#parts.traffic.closed(
      older,
      new FleetError("SESSION_SUPERSEDED", "a newer session of this agent took over"),
    );
    this.#record(EventType.SESSION_SUPERSEDED, older);
  }

  /** Never rejects. */
  async #farewell(session: AgentSession, reason: FleetError): Promise<void> {
    const { registry, traffic, inventory, storage, clock } = this.#parts;
    const { agentId, hostId, epoch } = session.identity;
    try {
      session.logger.info({ reason: reason.reason, err: reason.message }, "session ended");
      this.#observer.ended(reason.reason);
      if (!registry.release(session)) return;
      this.#clones.released(agentId);
      traffic.closed(session, reason);
      inventory.setOnline(hostId, false);
      this.#record(EventType.HOST_OFFLINE, session, { reason: reason.reason });
      await storage.fleet.endSession(agentId, epoch, clock.now());
    } catch (error) {
      session.logger.error({ err: error }, "the end of a session could not be stored");
    }
  }

  #record(type: EventType, session: AgentSession, attributes: Record<string, string> = {}): void {
    const { hostId, hostName, sessionId, epoch } = session.identity;
    const position = { session_id: sessionId, session_epoch: `${epoch}` };
    this.#parts.events.record({ type, hostId, hostName, attributes: { ...position, ...attributes } });
  }
}
