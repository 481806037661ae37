import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Operation } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import { operationTraits } from "../../rpc/operation-traits.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { DispatchRequest } from "../dispatch/dispatch-request.ts";
import { provesTicket } from "../enrolment/ticket-proof.ts";
import type { AgentCall } from "../session/agent-call.ts";
import type { AgentSession } from "../session/agent-session.ts";
import { type Disconnect, endCall } from "../session/end-call.ts";
import type { Reception } from "../session/reception.ts";
import { RefusalLog } from "../session/refusal-log.ts";
import type { Sessions } from "../session/session-registry.ts";
import { DataStream } from "./data-stream.ts";
import { StreamCount } from "./stream-count.ts";
import type { StreamObserver } from "./stream-observer.ts";
import type { StreamSettings } from "./stream-settings.ts";
import { type KindOfTraffic, StreamTraffic } from "./stream-traffic.ts";
import { TicketOffice } from "./ticket-office.ts";

/** What data streams need. */
export interface DataStreamsParts {
  readonly dispatcher: Pick<Dispatcher, "dispatch">;
  readonly sessions: Pick<Sessions, "current">;
  readonly reception: Reception;
  readonly storage: { readonly fleet: Pick<Storage["fleet"], "agent"> };
  readonly settings: StreamSettings;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: StreamObserver;
}

/** What somebody wants streamed. */
export type StreamRequest = Omit<DispatchRequest, "operation" | "requestId" | "requestDigest"> & {
  /** The operation, with this ticket. */
  operation(ticket: Uint8Array): Operation;
};

/** A stream that an agent has opened. */
export interface OpenedStream {
  readonly commandId: string;
  readonly stream: DataStream;
}

const noDigest = new Uint8Array(0);

/**
 * Joins callers with agents: asks an agent for a stream by a command that carries a ticket, and hands the stream that is opened with it to
 * whoever asked. A stream lives no longer than the session over which it was asked for.
 */
export class DataStreams {
  readonly #parts: DataStreamsParts;
  readonly #tickets: TicketOffice<DataStream>;
  readonly #count: StreamCount;
  readonly #traffic = new StreamTraffic();
  readonly #ofSession = new WeakMap<AgentSession, Set<DataStream>>();
  readonly #all = new Set<DataStream>();
  readonly #taking = new Set<Promise<void>>();
  readonly #refusals: RefusalLog;
  #closed: FleetError | undefined;

  constructor(parts: DataStreamsParts) {
    const { settings, wheel } = parts;
    this.#parts = parts;
    this.#refusals = new RefusalLog(parts);
    this.#tickets = new TicketOffice({ wheel, lifeMs: settings.ticketMs });
    this.#count = new StreamCount(settings);
  }

  /** How many are open or being opened. */
  get size(): number {
    return this.#count.size;
  }

  /** What they carry, and have carried, by kind. */
  get traffic(): readonly KindOfTraffic[] {
    return this.#traffic.kinds();
  }

  /** How many tickets can still be used. */
  get tickets(): number {
    return this.#tickets.size;
  }

  /**
   * Asks an agent for a stream. Whoever gets it must read its `messages` or end it. Rejects as `Dispatcher.dispatch` does, with
   * TOO_MANY_STREAMS, and with STREAM_NOT_OPENED when the agent says that it has opened one and none has come.
   */
  async open(request: StreamRequest): Promise<OpenedStream> {
    if (this.#closed !== undefined) throw this.#closed;
    const { host, signal } = request;
    const ticket = this.#tickets.issue(host.agentId);
    const operation = request.operation(ticket.secret);
    const kind = kindOf(operation);
    let leave: (() => void) | undefined;
    try {
      leave = this.#count.enter(host);
      const session = this.#parts.sessions.current(host.agentId);
      const commandId = await this.#ask(request, operation);
      const stream = await ticket.opened;
      this.#keep(stream, session, [leave, this.#traffic.begin(kind, stream)]);
      signal.throwIfAborted();
      return { commandId, stream };
    } catch (error) {
      const reason =
        error instanceof FleetError ? error : new FleetError("CANCELLED", "nobody wants the stream");
      this.#parts.observer.notOpened(kind, reason.reason);
      ticket.takeBack(reason);
      ticket.opened
        .then(
          (stream) => stream.end(reason),
          () => undefined,
        )
        .finally(() => leave?.());
      throw error;
    }
  }

  /** Takes a new stream of an agent. Never throws; whatever goes wrong ends the stream with its reason. */
  take(call: AgentCall, disconnect: Disconnect | undefined): void {
    const taken = this.#take(call, disconnect);
    this.#taking.add(taken);
    void taken.finally(() => this.#taking.delete(taken));
  }

  /** Opens none any more, and ends all. */
  async close(reason: FleetError): Promise<void> {
    this.#closed = reason;
    for (const stream of this.#all) stream.end(reason);
    await Promise.all(this.#taking);
  }

  async #ask(request: StreamRequest, operation: Operation): Promise<string> {
    const { commandId } = await this.#parts.dispatcher.dispatch({
      ...request,
      operation,
      requestId: "",
      requestDigest: noDigest,
    });
    return commandId;
  }

  async #take(call: AgentCall, disconnect: Disconnect | undefined): Promise<void> {
    const { logger, reception, wheel } = this.#parts;
    const stream = new DataStream(call, (reason) => {
      if (reason === undefined) call.end();
      else endCall(call, reason, { logger, wheel, disconnect });
    });
    try {
      if (this.#closed !== undefined) throw this.#closed;
      const handOver = await reception.receive(call, (signal) => this.#recognise(stream, signal));
      stream.accept();
      handOver(stream);
    } catch (error) {
      const reason =
        error instanceof FleetError
          ? error
          : new FleetError("INTERNAL", "the stream could not be opened", { cause: error });
      this.#refusals.refused(call.getPeer(), "a data stream", reason);
      this.#parts.observer.refused(reason.reason);
      stream.end(reason);
    }
  }

  /** Nothing is told of why a ticket is not good, so that nothing can be probed. */
  async #recognise(stream: DataStream, signal: AbortSignal): Promise<(stream: DataStream) => void> {
    const first = (await stream.next(signal))?.message;
    if (first?.case !== "opening") {
      throw new FleetError(
        "PROTOCOL_VIOLATION",
        `the first message was ${first?.case ?? "empty"}: expected an opening`,
      );
    }
    const { agentId, ticket, signature } = first.value;
    const publicKey = (await this.#parts.storage.fleet.agent(agentId))?.publicKey;
    const isProved = publicKey !== undefined && (await provesTicket({ publicKey, ticket, signature }));
    const handOver = isProved ? this.#tickets.redeem(ticket, agentId) : undefined;
    if (handOver === undefined) throw new FleetError("UNAUTHENTICATED", "the ticket is not good");
    return handOver;
  }

  #keep(stream: DataStream, session: AgentSession | undefined, leaves: readonly (() => void)[]): void {
    const siblings = this.#siblings(session);
    const forget = () => {
      this.#all.delete(stream);
      siblings.delete(stream);
      for (const leave of leaves) leave();
    };
    this.#all.add(stream);
    siblings.add(stream);
    if (stream.signal.aborted) forget();
    else stream.signal.addEventListener("abort", forget, { once: true });
    if (session === undefined || session.over) stream.end(disconnected());
    if (this.#closed !== undefined) stream.end(this.#closed);
  }

  /** One promise of a session is followed once, however many streams it has in its life. */
  #siblings(session: AgentSession | undefined): Set<DataStream> {
    const known = session === undefined ? undefined : this.#ofSession.get(session);
    if (known !== undefined) return known;
    const siblings = new Set<DataStream>();
    if (session === undefined) return siblings;
    this.#ofSession.set(session, siblings);
    void session.ended.then(() => {
      for (const stream of siblings) stream.end(disconnected());
    });
    return siblings;
  }
}

function kindOf({ operation }: Operation): string {
  return operation.case === undefined ? "unknown" : operationTraits(operation.case).name;
}

function disconnected(): FleetError {
  return new FleetError("AGENT_DISCONNECTED", "the session of the agent ended");
}
