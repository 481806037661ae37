import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { AgentStreamResponseSchema } from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import { ControlFrameSchema } from "../../gen/fairlead/agent/v1/frame_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TimerWheel, WheelTimer } from "../../resilience/timer-wheel.ts";
import { FrameWriter } from "../../rpc/frame-writer.ts";
import type { AgentCall } from "./agent-call.ts";
import { ClockOffset } from "./clock-offset.ts";
import { type Disconnect, endCall } from "./end-call.ts";
import type { SessionSettings } from "./session-settings.ts";

/** Which session this is. */
export interface SessionIdentity {
  readonly sessionId: string;
  readonly agentId: string;
  readonly hostId: string;
  readonly hostName: string;
  /** The fencing number. */
  readonly epoch: number;
  /** The agent's journal, in hex. */
  readonly journalId: string;
  /** Random for each process of an agent, in hex. */
  readonly instanceId: string;
  readonly address: string;
}

/** What is a session's own. */
export interface OwnSessionParts {
  readonly identity: SessionIdentity;
  readonly call: AgentCall;
  /** Cuts the connection of a peer that does not read how its session ended. Without: it is left to itself. */
  readonly disconnect?: Disconnect | undefined;
}

/** What all sessions have in common: one object for all of them, because thousands are idle. */
export interface SessionParts {
  readonly settings: SessionSettings;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

const frameFieldNumber = AgentStreamResponseSchema.field.frame.number;

/**
 * One session of one agent, from the welcome to the end of its stream. It ends once, for one reason: the stream broke,
 * the agent was silent for longer than its lease, or somebody called `end`. From then on nothing is sent.
 */
export class AgentSession {
  /** Resolves with the reason when the session has ended. Never rejects. */
  readonly ended: Promise<FleetError>;
  /** How far the agent's clock is ahead. */
  readonly clockOffset = new ClockOffset();
  readonly #parts: SessionParts;
  readonly #call: AgentCall;
  readonly #disconnect: Disconnect | undefined;
  readonly #writer: FrameWriter;
  readonly #resolveEnded: (reason: FleetError) => void;
  #identity: SessionIdentity;
  #heardAt: number;
  #sentAt: number;
  #lease: WheelTimer;
  #heartbeat: WheelTimer;
  #leaseHeld = false;
  #over = false;

  constructor({ identity, call, disconnect }: OwnSessionParts, parts: SessionParts) {
    this.#parts = parts;
    this.#identity = identity;
    this.#call = call;
    this.#disconnect = disconnect;
    const { promise, resolve } = Promise.withResolvers<FleetError>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    this.#writer = new FrameWriter({
      sink: call,
      frameFieldNumber,
      maxFrameBytes: parts.settings.maxFrameBytes,
      maxQueuedBytes: parts.settings.maxQueuedBytes,
    });
    this.#heardAt = parts.clock.monotonic();
    this.#sentAt = this.#heardAt;
    this.#lease = parts.wheel.schedule(parts.settings.leaseMs, () => this.#checkLease());
    this.#heartbeat = parts.wheel.schedule(this.#heartbeatDelay(), () => this.#beat());
  }

  /** For what is said of it. Made anew each time, because an idle session says nothing: not for the path of every command. */
  get logger(): Logger {
    const { agentId, hostName, epoch } = this.#identity;
    return this.#parts.logger.child({ agent_id: agentId, host: hostName, session_epoch: epoch });
  }

  /** Which session it is. */
  get identity(): SessionIdentity {
    return this.#identity;
  }

  /** Its host is called otherwise from now on. */
  rename(hostName: string): void {
    this.#identity = { ...this.#identity, hostName };
  }

  /** Whether it has ended. */
  get over(): boolean {
    return this.#over;
  }

  /** When something came from the agent last, in milliseconds since the epoch. */
  get lastSeenTime(): number {
    const { clock } = this.#parts;
    return clock.now() - (clock.monotonic() - this.#heardAt);
  }

  /** What waits for the agent to read: items and their bytes. */
  get queued(): { readonly items: number; readonly bytes: number } {
    return { items: this.#writer.queuedItems, bytes: this.#writer.queuedBytes };
  }

  /** Whether a serialised frame of one item can be sent at all. */
  fits(item: Uint8Array): boolean {
    return this.#writer.fits(item.byteLength);
  }

  /** Sends an item, a serialised ControlFrame, with the next frame. False: the session has ended, or too much waits for the agent to read. */
  send(item: Uint8Array): boolean {
    const queued = this.#writer.push(item);
    if (queued) this.#sentAt = this.#parts.clock.monotonic();
    return queued;
  }

  /** Renews the lease: something came from the agent. */
  renew(): void {
    this.#heardAt = this.#parts.clock.monotonic();
  }

  /**
   * Whether silence counts: not while we do not read what the agent sends. A connection that is lost meanwhile is found by HTTP/2's own
   * PINGs. Let go of, the lease begins anew.
   */
  holdLease(held: boolean): void {
    this.#leaseHeld = held;
    this.renew();
  }

  /** Waits until all that was sent is on its way, or the session is over. */
  flushed(): Promise<void> {
    return this.#writer.drained();
  }

  /** Ends the session and tells the agent why. Only the first call counts. */
  end(reason: FleetError): void {
    if (this.#over) return;
    this.#over = true;
    this.#lease.cancel();
    this.#heartbeat.cancel();
    this.#writer.close();
    const { wheel } = this.#parts;
    endCall(this.#call, reason, { wheel, logger: this.logger, disconnect: this.#disconnect });
    this.#resolveEnded(reason);
  }

  #checkLease(): void {
    const { leaseMs } = this.#parts.settings;
    const silentMs = this.#leaseHeld ? 0 : this.#parts.clock.monotonic() - this.#heardAt;
    if (silentMs >= leaseMs) {
      this.end(new FleetError("LEASE_EXPIRED", `the agent was silent for ${Math.round(silentMs)} ms`));
      return;
    }
    this.#lease = this.#parts.wheel.schedule(leaseMs - silentMs, () => this.#checkLease());
  }

  // A frame of any kind is a heartbeat as well, so that only silence is broken by an empty one.
  #beat(): void {
    const delayMs = this.#heartbeatDelay();
    const quietMs = this.#parts.clock.monotonic() - this.#sentAt;
    if (quietMs < delayMs / 2) {
      this.#heartbeat = this.#parts.wheel.schedule(delayMs - quietMs, () => this.#beat());
      return;
    }
    const sentTime = timestampFromMs(this.#parts.clock.now());
    this.send(toBinary(ControlFrameSchema, create(ControlFrameSchema, { sentTime })));
    this.#heartbeat = this.#parts.wheel.schedule(delayMs, () => this.#beat());
  }

  // 10 % jitter either way, so that thousands of sessions that began together do not beat together.
  #heartbeatDelay(): number {
    return this.#parts.settings.heartbeatIntervalMs * (0.9 + 0.2 * this.#parts.random());
  }
}
