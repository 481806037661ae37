import type { MessageInitShape, MessageValidType } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../domain/errors.ts";
import type { OperationOutcome, OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { Container } from "../../gen/fairlead/container/v1/container_pb.js";
import type { ContainerService } from "../../gen/fairlead/container/v1/container_service_pb.js";
import { msOrUnset } from "./durations.ts";

type OutcomeDetail = OperationOutcome["detail"];
type DetailCase = NonNullable<OutcomeDetail["case"]>;
type Detail<Case extends DetailCase> = Extract<OutcomeDetail, { case: Case }>["value"];

type ContainerMethods = (typeof ContainerService)["method"];

/** The methods of `ContainerService` that an agent carries out. The others are answered from the inventory. */
export type CommandMethod = Exclude<keyof ContainerMethods, "listContainers" | "getContainer">;

/** The valid request of such a method. */
export type CommandRequest<Method extends CommandMethod> = MessageValidType<
  ContainerMethods[Method]["input"]
>;

/** What such a method answers. */
export type CommandResponse<Method extends CommandMethod> = MessageInitShape<
  ContainerMethods[Method]["output"]
>;

/** A command that ended well, or that was queued. */
export interface EndedCommand {
  readonly commandId: string;
  /** Undefined: it was queued, and has not ended. */
  readonly outcome: OperationOutcome | undefined;
  /** As it is afterwards, on its host; as it was last where the agent did not tell. */
  readonly container: Container | undefined;
}

/** How one method becomes a command, and the end of the command an answer. */
export interface ContainerOperation<Method extends CommandMethod> {
  /** What the agent is to do. `container` is how the engine is to be asked for it. */
  operation(
    request: CommandRequest<Method>,
    container: string,
  ): NonNullable<MessageInitShape<typeof OperationSchema>["operation"]>;
  /** What the engine waits before it really acts; the default timeout does not count it. */
  graceMs?(request: CommandRequest<Method>): number | undefined;
  /** How long the command may take, in milliseconds; undefined: as the operation says. Default: the request's timeout. */
  timeoutMs?(request: CommandRequest<Method>): number | undefined;
  /** What the caller is answered. */
  response(ended: EndedCommand): CommandResponse<Method>;
}

const toldWithinMs = 10_000;

/** Every operation on containers. A method of the schema that is missing here does not compile. */
export const containerOperations: { readonly [Method in CommandMethod]: ContainerOperation<Method> } = {
  inspectContainer: {
    operation: (_request, container) => ({ case: "inspectContainer", value: { container } }),
    response: inspected,
  },
  createContainer: {
    operation: ({ name, spec, start }) => ({ case: "createContainer", value: { name, spec, start } }),
    response: ({ outcome, container, commandId }) => ({
      container,
      commandId,
      queued: outcome === undefined,
    }),
  },
  startContainer: {
    operation: (_request, container) => ({ case: "startContainer", value: { container } }),
    response: changed,
  },
  stopContainer: {
    operation: ({ gracePeriod }, container) => ({ case: "stopContainer", value: { container, gracePeriod } }),
    graceMs: ({ gracePeriod }) => msOrUnset(gracePeriod),
    response: changed,
  },
  restartContainer: {
    operation: ({ gracePeriod }, container) => ({
      case: "restartContainer",
      value: { container, gracePeriod },
    }),
    graceMs: ({ gracePeriod }) => msOrUnset(gracePeriod),
    response: changed,
  },
  killContainer: {
    operation: ({ signal }, container) => ({ case: "killContainer", value: { container, signal } }),
    response: changed,
  },
  pauseContainer: {
    operation: (_request, container) => ({ case: "pauseContainer", value: { container } }),
    response: changed,
  },
  unpauseContainer: {
    operation: (_request, container) => ({ case: "unpauseContainer", value: { container } }),
    response: changed,
  },
  renameContainer: {
    operation: ({ newName }, container) => ({ case: "renameContainer", value: { container, newName } }),
    response: changed,
  },
  removeContainer: {
    operation: ({ force, removeVolumes }, container) => ({
      case: "removeContainer",
      value: { container, force, removeVolumes },
    }),
    response: changed,
  },
  updateContainer: {
    operation: ({ update }, container) => ({ case: "updateContainer", value: { container, update } }),
    response: changed,
  },
  runExec: {
    operation: ({ exec, stdin, timeout }, container) => ({
      case: "runExec",
      value: { container, exec, stdin, timeLimit: timeout },
    }),
    // The process is killed when its time is over, and that has to be told.
    timeoutMs: ({ timeout }) => (timeout === undefined ? undefined : durationMs(timeout) + toldWithinMs),
    response: (ended) => ({
      result: ended.outcome === undefined ? undefined : detailOf(ended, "exec"),
      container: ended.container,
      commandId: ended.commandId,
      queued: ended.outcome === undefined,
    }),
  },
  listProcesses: {
    operation: ({ psOptions }, container) => ({ case: "listProcesses", value: { container, psOptions } }),
    response: (ended) => ({ table: detailOf(ended, "processes"), container: ended.container }),
  },
  waitContainer: {
    operation: ({ condition }, container) => ({ case: "waitContainer", value: { container, condition } }),
    response: (ended) => ({ exit: detailOf(ended, "exit"), container: ended.container }),
  },
  listChanges: {
    operation: (_request, container) => ({ case: "listChanges", value: { container } }),
    response: (ended) => ({ changes: detailOf(ended, "changes"), container: ended.container }),
  },
};

function changed({ outcome, container, commandId }: EndedCommand) {
  return { changed: outcome?.changed ?? false, container, commandId, queued: outcome === undefined };
}

function inspected(ended: EndedCommand) {
  return { container: ended.container, engineJson: detailOf(ended, "inspection").engineJson };
}

/** What the agent was to tell. Throws `INVALID_RESULT` when it told something else, or nothing. */
function detailOf<Case extends DetailCase>({ outcome, commandId }: EndedCommand, wanted: Case): Detail<Case> {
  if (outcome?.detail.case === wanted) return outcome.detail.value as Detail<Case>;
  throw new FleetError("INVALID_RESULT", "the agent said that it was done, and not what it saw", {
    metadata: { command_id: commandId },
  });
}
