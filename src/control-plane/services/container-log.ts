import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { FleetError, type Reason } from "../../domain/errors.ts";
import { type Operation, OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { LogPosition, OpenLogsSchema } from "../../gen/fairlead/agent/v1/stream_operations_pb.js";
import { ContainerState } from "../../gen/fairlead/container/v1/container_pb.js";
import { OutputStream } from "../../gen/fairlead/container/v1/log_pb.js";
import {
  LogBatchSchema,
  type StreamLogsRequest,
  type StreamLogsResponseSchema,
} from "../../gen/fairlead/container/v1/log_service_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal } from "../../resilience/signals.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import type { HostIdentity } from "../inventory/host-view.ts";
import type { StreamMessage } from "../streams/data-stream.ts";
import type { DataStreams } from "../streams/data-streams.ts";
import { actorOf, seenBy } from "./calling.ts";
import { endWhenHidden } from "./end-when-hidden.ts";
import { type LogCursor, logCursorText, positionOfCursor } from "./log-cursor.ts";

/** What logs need. */
export interface ContainerLogParts {
  readonly inventory: FleetInventory;
  readonly dataStreams: Pick<DataStreams, "open">;
  readonly clock: Clock;
}

/** Whose log. */
export interface LogOwner {
  readonly host: HostIdentity;
  /** Full id; the caller's own word where the inventory does not know the container. */
  readonly containerId: string;
  readonly name: string;
}

/** Which log, for whom. */
export interface LogWish {
  readonly owner: LogOwner;
  readonly request: StreamLogsRequest;
  readonly values: HandlerContext["values"];
  /** Where the caller had been before. */
  readonly after: LogCursor | undefined;
  /** A failure ends the call; otherwise it is told, and the others go on. */
  readonly isAlone: boolean;
  /** The caller reads protobuf's binary format, in which records can be passed on as they came. */
  readonly isBinary: boolean;
  readonly signal: AbortSignal;
}

type Message = NonNullable<MessageInitShape<typeof StreamLogsResponseSchema>["message"]>;

const lookMs = 500;

// With `follow_restarts` these are waited out.
const passing: ReadonlySet<Reason> = new Set<Reason>([
  "AGENT_OFFLINE",
  "AGENT_DISCONNECTED",
  "AGENT_BUSY",
  "ENGINE_UNAVAILABLE",
  "CIRCUIT_OPEN",
  "STREAM_NOT_OPENED",
  "CONTAINER_NOT_FOUND",
]);

/** The log of one container, and with `follow_restarts` of those that take its name after it. */
export class ContainerLog {
  readonly #parts: ContainerLogParts;
  readonly #wish: LogWish;
  #owner: LogOwner;
  #after: LogPosition | undefined;
  /** When it was read first, by our clock, in milliseconds. */
  #begunMs: number | undefined;

  constructor(parts: ContainerLogParts, wish: LogWish) {
    this.#parts = parts;
    this.#wish = wish;
    this.#owner = wish.owner;
    this.#after = wish.after && (positionOfCursor(wish.after) as LogPosition);
  }

  /** Everything from the wanted place on. Throws only where the container is alone, and the signal's reason. */
  async *messages(): AsyncGenerator<Message, void> {
    const { signal, isAlone, values } = this.#wish;
    const scope = linkSignal(signal);
    try {
      endWhenHidden(this.#parts.inventory, { host: this.#owner.host, sees: seenBy(values), scope });
      yield* this.#runs(scope.signal);
      yield this.#end();
    } catch (error) {
      signal.throwIfAborted();
      if (isAlone || !(error instanceof FleetError)) throw error;
      yield this.#end(error);
    } finally {
      scope.abort(new FleetError("CANCELLED", "the log is at its end"));
      scope.release();
    }
  }

  async *#runs(signal: AbortSignal): AsyncGenerator<Message, void> {
    const { follow, followRestarts } = this.#wish.request;
    for (;;) {
      try {
        yield* this.#once(signal);
        if (!follow || !followRestarts) return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(followRestarts && error instanceof FleetError && passing.has(error.reason))) throw error;
      }
      await this.#untilMore(signal);
    }
  }

  async *#once(signal: AbortSignal): AsyncGenerator<Message, void> {
    const { values } = this.#wish;
    const { host, containerId, name } = this.#owner;
    const { name: caller, keyId, address } = actorOf(values);
    const { stream } = await this.#parts.dataStreams.open({
      host,
      container: containerId,
      containerName: name,
      operation: (ticket) => this.#operation(ticket),
      timeoutMs: undefined,
      caller,
      callerKeyId: keyId,
      callerAddress: address,
      signal,
    });
    for await (const message of stream.messages(signal, this.#wish.isBinary)) {
      const told = this.#told(message);
      if (told !== undefined) yield told;
    }
  }

  #operation(ticket: Uint8Array): Operation {
    const { follow, tail, sinceTime, untilTime, streams, match } = this.#wish.request;
    const wants = (stream: OutputStream) => streams.length === 0 || streams.includes(stream);
    // What was written since the first look is not to be lost when nothing had come until the log ended.
    const isFirst = this.#begunMs === undefined;
    const since = isFirst ? sinceTime : timestampFromMs(this.#begunMs ?? 0);
    this.#begunMs ??= this.#parts.clock.now();
    const value: MessageInitShape<typeof OpenLogsSchema> = {
      ticket,
      container: this.#owner.containerId,
      follow,
      ...(isFirst && tail !== undefined ? { tail } : {}),
      ...(since && { sinceTime: since }),
      ...(untilTime && { untilTime }),
      withoutStdout: !wants(OutputStream.STDOUT),
      withoutStderr: !wants(OutputStream.STDERR),
      ...(match && { match }),
      ...(this.#after && { after: this.#after }),
    };
    return create(OperationSchema, { operation: { case: "openLogs", value } });
  }

  #told(message: StreamMessage): Message | undefined {
    const source = this.#source();
    if (message.case === "missingLogs") {
      const { afterTime, beforeTime } = message.value;
      return {
        case: "gap",
        value: { source, ...(afterTime && { afterTime }), ...(beforeTime && { beforeTime }) },
      };
    }
    if (message.case !== "logs" && message.case !== "relayedLogs") return undefined;
    this.#after = message.value.position ?? this.#after;
    const cursor = this.#after === undefined ? "" : logCursorText(this.#owner.containerId, this.#after);
    if (message.case === "logs") {
      return { case: "batch", value: { source, records: message.value.records, cursor } };
    }
    const batch = create(LogBatchSchema, { source, cursor });
    batch.$unknown = message.value.records;
    return { case: "batch", value: batch };
  }

  #end(error?: FleetError): Message {
    const why = error === undefined ? {} : { reason: error.reason, message: error.message };
    return { case: "end", value: { source: this.#source(), ...why } };
  }

  #source() {
    const { host, containerId, name } = this.#owner;
    const { online = false } = this.#parts.inventory.host(host.hostId, seenBy(this.#wish.values)) ?? {};
    return {
      host: { id: host.hostId, name: host.hostName, online },
      containerId,
      containerName: name,
    };
  }

  /** Until the container runs again, or another one has its name. */
  async #untilMore(signal: AbortSignal): Promise<void> {
    const { clock, inventory } = this.#parts;
    for (;;) {
      await clock.sleep(lookMs, signal);
      const host = inventory.host(this.#owner.host.hostId);
      if (host?.online !== true) continue;
      const { containerId, container } = inventory.resolve(this.#owner.name, host.hostId);
      const same = inventory.container(host.hostId, this.#owner.containerId);
      if (same?.state === ContainerState.RUNNING) return;
      if (container?.state === ContainerState.RUNNING && containerId !== undefined) {
        this.#owner = { ...this.#owner, containerId };
        this.#after = undefined;
        return;
      }
    }
  }
}
