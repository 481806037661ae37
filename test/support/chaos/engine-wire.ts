import { create, fromJson, type JsonValue, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import type {
  EngineContainer,
  EngineEvent,
  EngineFacts,
  EngineNotice,
} from "../../../src/agent/engine/engine.ts";
import { FleetError, isReason } from "../../../src/domain/errors.ts";
import { HostFactsSchema } from "../../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { ContainerSchema } from "../../../src/gen/fairlead/container/v1/container_pb.js";

// Between an agent and its engine's socket: one call a connection, one line of JSON for the request, one for each answer.

/** What an agent asks of its engine. */
export interface EngineRequest {
  readonly method: string;
  /** Which process of the agent asks: 1 for the first. */
  readonly incarnation: number;
  /** When it decided to, by the wall clock, in milliseconds. A process that is stopped then may be heard much later. */
  readonly askedMs: number;
  readonly container: string;
  /** The new name, the signal; as JSON the specification, the update, the words of a command. */
  readonly argument: string;
  readonly graceMs?: number;
  readonly force?: boolean;
  readonly removeVolumes?: boolean;
  /** From when on a watch is told. */
  readonly sinceNs?: string;
}

/** An answer, or one notice of a watch. */
export type EngineReply =
  | { readonly value: unknown }
  | {
      readonly error: {
        readonly reason: string;
        readonly message: string;
        readonly metadata: Readonly<Record<string, string>>;
      };
    };

/** What became of a process: the engine tells of it when it has ended. */
export interface EndedProcess {
  readonly exitCode: number;
  /** All that it wrote. */
  readonly text: string;
}

/** The methods that change something. */
export const changingMethods: ReadonlySet<string> = new Set([
  "create",
  "start",
  "stop",
  "restart",
  "kill",
  "pause",
  "unpause",
  "rename",
  "remove",
  "update",
  "exec",
]);

/** One line, its end included. */
export function lineFrom(value: EngineRequest | EngineReply): string {
  return `${JSON.stringify(value)}\n`;
}

export function containerToJson(container: EngineContainer): JsonValue {
  return toJson(ContainerSchema, create(ContainerSchema, container));
}

export function containerFromJson(json: unknown): EngineContainer {
  return fromJson(ContainerSchema, json as JsonValue);
}

export function factsToJson(facts: EngineFacts): JsonValue {
  const message: MessageInitShape<typeof HostFactsSchema> = facts;
  return toJson(HostFactsSchema, create(HostFactsSchema, message));
}

export function factsFromJson(json: unknown): EngineFacts {
  return fromJson(HostFactsSchema, json as JsonValue);
}

/** A notice as JSON has it, which knows no large integers. */
type NoticeJson =
  | { readonly kind: "listening"; readonly timeNs: string }
  | { readonly kind: "asked"; readonly containerId: string; readonly timeNs: string }
  | { readonly kind: "event"; readonly event: Omit<EngineEvent, "timeNs"> & { readonly timeNs: string } };

export function noticeToJson(notice: EngineNotice): NoticeJson {
  return notice.kind === "event"
    ? { ...notice, event: { ...notice.event, timeNs: `${notice.event.timeNs}` } }
    : { ...notice, timeNs: `${notice.timeNs}` };
}

export function noticeFromJson(json: unknown): EngineNotice {
  const notice = json as NoticeJson;
  return notice.kind === "event"
    ? { ...notice, event: { ...notice.event, timeNs: BigInt(notice.event.timeNs) } }
    : { ...notice, timeNs: BigInt(notice.timeNs) };
}

/** Any error as an answer. */
export function replyFromError(error: unknown): EngineReply {
  const { reason, message, metadata } =
    error instanceof FleetError ? error : new FleetError("ENGINE_FAILED", String(error));
  return { error: { reason, message, metadata } };
}

/** What an answer holds; throws what it tells of. */
export function valueOf(reply: EngineReply): unknown {
  if ("value" in reply) return reply.value;
  const { reason, message, metadata } = reply.error;
  throw new FleetError(isReason(reason) ? reason : "ENGINE_FAILED", message, { metadata });
}
