import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import type {
  LogService,
  StreamLogsRequest,
  StreamLogsResponseSchema,
} from "../../gen/fairlead/container/v1/log_service_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Merge } from "../../resilience/merge.ts";
import { linkSignal } from "../../resilience/signals.ts";
import type { HostTest } from "../inventory/host-view.ts";
import { seenBy } from "./calling.ts";
import { callSignal } from "./call-signal.ts";
import { selectContainers } from "./container-selection.ts";
import { withHeartbeats } from "./heartbeats.ts";
import { type LogCursor, parseLogCursor } from "./log-cursor.ts";
import { ContainerLog, type ContainerLogParts, type LogOwner } from "./container-log.ts";

/** What the log service needs. */
export type LogServiceParts = ContainerLogParts;

type Message = NonNullable<MessageInitShape<typeof StreamLogsResponseSchema>["message"]>;

const maxContainers = 64;
const heartbeatMs = 15_000;
// How soon a container that appears is found, with `follow_restarts`.
const searchMs = 1_000;

/** Streams the logs of one container or of many. */
export function createLogService(parts: LogServiceParts): ServiceImpl<typeof LogService> {
  return { streamLogs: (request, context) => streamLogs(parts, request, context) };
}

async function* streamLogs(parts: LogServiceParts, request: StreamLogsRequest, context: HandlerContext) {
  const call = callSignal(context.signal);
  const scope = linkSignal(call.signal);
  try {
    const logs = new CallerLogs(parts, request, context, scope.signal);
    const messages = logs.messages();
    for await (const message of withHeartbeats(messages, { clock: parts.clock, everyMs: heartbeatMs })) {
      yield message === undefined ? {} : { message };
    }
  } finally {
    scope.abort(new FleetError("CANCELLED", "the call has ended"));
    scope.release();
    call.release();
  }
}

/** The logs that one call is for. */
class CallerLogs {
  readonly #parts: LogServiceParts;
  readonly #request: StreamLogsRequest;
  readonly #context: HandlerContext;
  readonly #signal: AbortSignal;
  readonly #sees: HostTest;
  readonly #cursors: ReadonlyMap<string, LogCursor>;

  constructor(
    parts: LogServiceParts,
    request: StreamLogsRequest,
    context: HandlerContext,
    signal: AbortSignal,
  ) {
    checkRequest(request);
    this.#parts = parts;
    this.#request = request;
    this.#context = context;
    this.#signal = signal;
    this.#sees = seenBy(context.values);
    this.#cursors = new Map(
      request.cursors.map((text) => parseLogCursor(text)).map((cursor) => [cursor.containerId, cursor]),
    );
  }

  messages(): AsyncIterable<Message> {
    const { inventory } = this.#parts;
    const { container, host } = this.#request;
    if (container === "") return this.#selected();
    const { host: owner, containerId, container: known } = inventory.resolve(container, host, this.#sees);
    const name = known?.name ?? container;
    return this.#logOf({ host: owner, containerId: containerId ?? container, name }, true);
  }

  #selected(): AsyncIterable<Message> {
    const merge = new Merge<Message>();
    const added = new Set<string>();
    const add = () => {
      for (const owner of this.#owners()) {
        if (added.has(keyOf(owner))) continue;
        if (merge.size >= maxContainers) throw tooMany();
        added.add(keyOf(owner));
        merge.add(this.#logOf(owner, false));
      }
    };
    add();
    if (this.#goesOn()) void this.#search(add, merge);
    else merge.seal();
    return merge.read();
  }

  async #search(add: () => void, merge: Merge<Message>): Promise<void> {
    try {
      for (;;) {
        await this.#parts.clock.sleep(searchMs, this.#signal);
        add();
      }
    } catch {
      // The call has ended, a host of the selector is gone, or there are too many: what is being read goes on.
    } finally {
      merge.seal();
    }
  }

  #owners(): LogOwner[] {
    const { selector } = this.#request;
    if (selector === undefined) return [];
    const found = selectContainers(this.#parts.inventory, selector, maxContainers, this.#sees);
    if (found.length > maxContainers && !this.#goesOn()) throw tooMany();
    return found
      .slice(0, maxContainers)
      .map(({ host, container }) => ({ host, containerId: container.id, name: container.name }));
  }

  #goesOn(): boolean {
    return this.#request.follow && this.#request.followRestarts;
  }

  #logOf(owner: LogOwner, isAlone: boolean): AsyncIterable<Message> {
    const log = new ContainerLog(this.#parts, {
      owner,
      request: this.#request,
      values: this.#context.values,
      after: this.#cursors.get(owner.containerId),
      isAlone,
      isBinary: !this.#context.requestHeader.get("content-type")?.includes("json"),
      signal: this.#signal,
    });
    return log.messages();
  }
}

function checkRequest({ container, selector, follow, followRestarts }: StreamLogsRequest): void {
  if ((container === "") === (selector === undefined)) {
    throw invalid("container", "give either a container or a selector, and not both");
  }
  if (followRestarts && !follow) throw invalid("follow_restarts", "is of use with follow only");
}

function invalid(field: string, description: string): FleetError {
  return new FleetError("INVALID_ARGUMENT", `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

function tooMany(): FleetError {
  return invalid(
    "selector",
    `finds more than ${maxContainers} containers, which is the limit; narrow it down`,
  );
}

// A host has one container of a name; another one that takes the name is found by the log of the first.
function keyOf({ host, name }: LogOwner): string {
  return `${host.hostId}/${name}`;
}
