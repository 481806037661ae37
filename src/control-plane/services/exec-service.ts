import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import type {
  ExecRequest,
  ExecResponseSchema,
  ExecService,
  ExecStart,
} from "../../gen/fairlead/container/v1/exec_service_pb.js";
import type { ProcessInput } from "../../gen/fairlead/container/v1/process_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { type LinkedSignal, linkSignal } from "../../resilience/signals.ts";
import type { EventLog } from "../events/event-log.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import type { DataStreams } from "../streams/data-streams.ts";
import { actorOf, seenBy } from "./calling.ts";
import { callSignal } from "./call-signal.ts";
import { endWhenHidden } from "./end-when-hidden.ts";
import { ExecInputs } from "./exec-inputs.ts";
import { ExecSession } from "./exec-session.ts";
import { withHeartbeats } from "./heartbeats.ts";

/** What the exec service needs. */
export interface ExecServiceParts {
  readonly inventory: FleetInventory;
  readonly dataStreams: Pick<DataStreams, "open">;
  readonly events: Pick<EventLog, "record">;
  readonly clock: Clock;
}

type Answer = NonNullable<MessageInitShape<typeof ExecResponseSchema>["message"]>;

const heartbeatMs = 15_000;

/** Runs processes in containers and talks with them. */
export function createExecService(parts: ExecServiceParts): ServiceImpl<typeof ExecService> {
  const inputs = new ExecInputs();
  return {
    exec: (requests, context) =>
      answers(parts, context, async function* (scope) {
        const { signal } = scope;
        const iterator = requests[Symbol.asyncIterator]();
        const first = await iterator.next();
        const message = first.done === true ? undefined : first.value.message;
        const start = message?.case === "start" ? message.value : undefined;
        const session = await open(parts, start, context, scope);
        yield started(session, "");
        void session.feed(rest(iterator), signal);
        yield* session.output(signal);
      }),
    startExec: ({ start }, context) =>
      answers(parts, context, async function* (scope) {
        const session = await open(parts, start, context, scope);
        const { id, leave } = inputs.enter(session, actorOf(context.values));
        try {
          yield started(session, id);
          yield* session.output(scope.signal);
        } finally {
          leave();
        }
      }),
    async sendExecInput({ execId, sequence, input }, { values, signal }) {
      const call = callSignal(signal);
      try {
        const numbered = { sequence: Number(sequence), input: input?.input ?? { case: undefined } };
        await inputs.give(execId, actorOf(values), numbered, call.signal);
      } finally {
        call.release();
      }
      return {};
    },
  };
}

/** What a call answers, with signs of life. However it ends, what it started ends with it. */
async function* answers(
  { clock }: ExecServiceParts,
  context: HandlerContext,
  work: (scope: LinkedSignal) => AsyncIterable<Answer>,
) {
  const call = callSignal(context.signal);
  const scope = linkSignal(call.signal);
  try {
    for await (const message of withHeartbeats(work(scope), { clock, everyMs: heartbeatMs })) {
      yield message === undefined ? {} : { message };
    }
  } finally {
    scope.abort(new FleetError("CANCELLED", "the call has ended"));
    scope.release();
    call.release();
  }
}

async function open(
  parts: ExecServiceParts,
  start: ExecStart | undefined,
  { values }: HandlerContext,
  scope: LinkedSignal,
): Promise<ExecSession> {
  if (start === undefined) throw noStart();
  const sees = seenBy(values);
  const { host, containerId, container } = parts.inventory.resolve(start.container, start.host, sees);
  endWhenHidden(parts.inventory, { host, sees, scope });
  const target = {
    host,
    containerId: containerId ?? start.container,
    containerName: container?.name ?? start.container,
  };
  const { signal } = scope;
  return await ExecSession.open(parts, { target, start, actor: actorOf(values), signal });
}

function noStart(): FleetError {
  const description = "must be the first message, exactly once";
  return new FleetError("INVALID_ARGUMENT", `start: ${description}`, {
    violations: [{ field: "start", description }],
  });
}

/** What comes after the start. The end of the caller's side is the end of the input. */
async function* rest(iterator: AsyncIterator<ExecRequest>): AsyncGenerator<ProcessInput["input"], void> {
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) break;
    const { message } = next.value;
    if (message.case === "start") throw new FleetError("INVALID_ARGUMENT", "start: a second one");
    if (message.case === "input") yield message.value.input;
  }
  yield { case: "end", value: { $typeName: "fairlead.container.v1.EndOfInput" } };
}

function started({ commandId, target }: ExecSession, execId: string): Answer {
  const { host, containerId, containerName } = target;
  return {
    case: "started",
    value: { execId, commandId, containerId, containerName, hostId: host.hostId, hostName: host.hostName },
  };
}
