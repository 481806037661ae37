import { ContainerAction } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import { FleetError } from "../../domain/errors.ts";
import { cut } from "./container-bounds.ts";
import type { DockerEvent } from "./docker-json.ts";
import type { EngineEvent, EngineNotice } from "./engine.ts";

/**
 * The words of Docker that are facts of ours. The others say how a fact came about (`kill`, which says that somebody asked for the end, and `stop` come with the `die`
 * that counts, `restart` with a `die` and a `start`) or change nothing (`exec_start`, `attach`, `top` and so on).
 */
const actions = new Map<string, ContainerAction>([
  ["create", ContainerAction.CREATED],
  ["start", ContainerAction.STARTED],
  ["die", ContainerAction.DIED],
  ["pause", ContainerAction.PAUSED],
  ["unpause", ContainerAction.UNPAUSED],
  ["rename", ContainerAction.RENAMED],
  ["update", ContainerAction.UPDATED],
  ["destroy", ContainerAction.REMOVED],
  ["oom", ContainerAction.OUT_OF_MEMORY],
  ["health_status: healthy", ContainerAction.HEALTHY],
  ["health_status: unhealthy", ContainerAction.UNHEALTHY],
]);

/** A line of the stream holds one event with all labels of its container; no real one comes near this. */
const maxLineCharacters = 4 * 1024 * 1024;

/**
 * The lines of a stream of text, without their ends and without empty ones. The text may come in pieces of any size; what
 * follows the last end of a line is not complete and is left out. A line without end is `ENGINE_FAILED`.
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const chunk of chunks) {
    const lines = (pending + decoder.decode(chunk, { stream: true })).split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > maxLineCharacters) {
      throw new FleetError("ENGINE_FAILED", "the engine's event stream has a line without end");
    }
    yield* lines.filter((line) => line.trim() !== "");
  }
}

/** What a line of Docker's event stream means. Undefined: nothing to us. Throws a SyntaxError when it is no JSON. */
export function noticeFromLine(line: string): EngineNotice | undefined {
  const event = JSON.parse(line, withExactTime) as DockerEvent | null;
  const containerId = event?.Actor?.ID;
  if (!containerId || event?.Type !== "container") {
    return undefined;
  }
  if (event.Action === "kill") {
    return { kind: "asked", containerId, timeNs: event.timeNano ?? 0n };
  }
  const action = actions.get(event.Action ?? "");
  return action === undefined ? undefined : { kind: "event", event: eventFrom(event, action, containerId) };
}

function eventFrom(event: DockerEvent, action: ContainerAction, containerId: string): EngineEvent {
  const attributes = event.Actor?.Attributes ?? {};
  return {
    action,
    containerId,
    containerName: cut(attributes["name"] ?? "", 255),
    image: cut(attributes["image"] ?? "", 512),
    exitCode: action === ContainerAction.DIED ? Number(attributes["exitCode"] ?? 0) | 0 : 0,
    timeNs: event.timeNano ?? 0n,
  };
}

/** Nanoseconds since the epoch are too large for a number: they are taken from the text. */
function withExactTime(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return key === "timeNano" && typeof value === "number" ? BigInt(context?.source ?? value) : value;
}
