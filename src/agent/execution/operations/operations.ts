import { type Duration, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CreateContainerValid } from "../../../gen/fairlead/agent/v1/container_operations_pb.js";
import type { OperationValid } from "../../../gen/fairlead/agent/v1/operation_pb.js";
import { FleetError } from "../../../domain/errors.ts";
import type { OperationCase } from "../../../rpc/operation-traits.ts";
import { WaitCondition } from "../../../gen/fairlead/container/v1/container_wait_pb.js";
import type { EngineChange, EngineWaitCondition } from "../../engine/engine.ts";
import { copyIn } from "../files/copy-in.ts";
import { copyOut } from "../files/copy-out.ts";
import { openLogs } from "../logs/open-logs.ts";
import { runExec } from "../processes/run-exec.ts";
import { openProcess } from "../processes/open-process.ts";
import { openStats } from "../stats/open-stats.ts";
import type { KnownOperation } from "./command-codec.ts";
import { boundedChanges, boundedProcesses } from "./observations.ts";
import type { OperationContext, Outcome } from "./operation-context.ts";

/** What an operation says, by its name. */
export type OperationValue<Case extends OperationCase> = Extract<
  OperationValid["operation"],
  { case: Case }
>["value"];

type Run<Case extends OperationCase> = (
  value: OperationValue<Case>,
  context: OperationContext,
) => Promise<Outcome>;

/** What is not named here is the usual one. */
const waitConditions: Readonly<Record<number, EngineWaitCondition>> = {
  [WaitCondition.NEXT_EXIT]: "next-exit",
  [WaitCondition.REMOVED]: "removed",
};

/** Asks the engine for a change of the container with this id. */
type Act = (id: string) => Promise<EngineChange>;

/**
 * Every operation that an agent knows and how it is done: the place for a new one. Its timeout, and whether it changes
 * something, are in the schema beside its name.
 */
export const operations: { readonly [Case in OperationCase]: Run<Case> } = {
  async inspectContainer({ container }, { gate, rooms, signal }) {
    const inspection = await rooms.engine.inspectContainer(container, signal);
    gate.judge(inspection.container);
    const value = { container: rooms.complete(inspection.container), engineJson: inspection.engineJson };
    return { detail: { case: "inspection", value } };
  },

  createContainer: createContainer,

  startContainer: ({ container }, context) =>
    change("startContainer", container, context, (id) =>
      context.rooms.engine.startContainer(id, context.signal),
    ),

  stopContainer: ({ container, gracePeriod }, context) =>
    change("stopContainer", container, context, (id) =>
      context.rooms.engine.stopContainer(id, milliseconds(gracePeriod), context.signal),
    ),

  restartContainer: ({ container, gracePeriod }, context) =>
    change("restartContainer", container, context, (id) =>
      context.rooms.engine.restartContainer(id, milliseconds(gracePeriod), context.signal),
    ),

  killContainer: ({ container, signal }, context) =>
    change("killContainer", container, context, (id) =>
      context.rooms.engine.killContainer(id, signal, context.signal),
    ),

  pauseContainer: ({ container }, context) =>
    change("pauseContainer", container, context, (id) =>
      context.rooms.engine.pauseContainer(id, context.signal),
    ),

  unpauseContainer: ({ container }, context) =>
    change("unpauseContainer", container, context, (id) =>
      context.rooms.engine.unpauseContainer(id, context.signal),
    ),

  renameContainer: ({ container, newName }, context) =>
    change("renameContainer", container, context, (id) =>
      context.rooms.engine.renameContainer(id, newName, context.signal),
    ),

  async removeContainer({ container, force, removeVolumes }, context) {
    const before = await context.find(container);
    context.rooms.protection.refuse("removeContainer", before);
    const options = { force, removeVolumes };
    const { changed } = await context.change(() =>
      context.rooms.engine.removeContainer(before.id, options, context.signal),
    );
    return { changed, detail: { case: "container", value: before } };
  },

  updateContainer: ({ container, update }, context) =>
    change("updateContainer", container, context, (id) =>
      context.rooms.engine.updateContainer(id, update, context.signal),
    ),

  runExec,

  async listProcesses({ container, psOptions }, context) {
    const { id } = await context.find(container);
    const value = boundedProcesses(await context.rooms.engine.listProcesses(id, psOptions, context.signal));
    return { detail: { case: "processes", value } };
  },

  async waitContainer({ container, condition }, context) {
    const { id } = await context.find(container);
    const word = waitConditions[condition] ?? "not-running";
    const { exitCode, message } = await context.rooms.engine.waitContainer(id, word, context.signal);
    const value = { exitCode, message: message.slice(0, 4096).toWellFormed() };
    return { detail: { case: "exit", value } };
  },

  async listChanges({ container }, context) {
    const { id } = await context.find(container);
    const value = boundedChanges(await context.rooms.engine.listChanges(id, context.signal));
    return { detail: { case: "changes", value } };
  },

  async getDiskUsage(_value, { gate, rooms, signal }) {
    // Sums over everything tell of no container in particular, so that rules about containers do not apply.
    gate.permitted([]);
    const value = {
      ...(await rooms.engine.diskUsage(signal)),
      measuredTime: timestampFromMs(rooms.clock.now()),
    };
    return { detail: { case: "diskUsage", value } };
  },

  openLogs,

  openProcess,

  openStats,

  copyOut,

  copyIn,

  async statPath({ container, path }, context) {
    const { id } = await context.find(container);
    const value = await context.rooms.engine.statPath(id, path, context.signal);
    return { detail: { case: "path", value } };
  },
};

/**
 * Runs an operation that the host's policy allows. Rejects with `DENIED_BY_HOST_POLICY`, with what the engine says, or with the
 * reason of the context's signal.
 */
export async function runOperation(operation: KnownOperation, context: OperationContext): Promise<Outcome> {
  await context.gate.admit(operation);
  const outcome = await doOperation(operation.case, operation.value, context);
  context.gate.requireVerdict();
  return outcome;
}

async function doOperation<Case extends OperationCase>(
  operation: Case,
  value: OperationValue<Case>,
  context: OperationContext,
): Promise<Outcome> {
  return await operations[operation](value, context);
}

async function change(
  operation: OperationCase,
  container: string,
  context: OperationContext,
  act: Act,
): Promise<Outcome> {
  const before = await context.find(container);
  context.rooms.protection.refuse(operation, before);
  const { changed } = await context.change(() => act(before.id));
  return { changed, detail: { case: "container", value: await context.after(before) } };
}

async function createContainer(
  { name, spec, start }: CreateContainerValid,
  context: OperationContext,
): Promise<Outcome> {
  const { engine } = context.rooms;
  const id = await context.change(() => engine.createContainer(name, spec, context.signal));
  context.created(id);
  if (start) {
    await engine.startContainer(id, context.signal).catch((error: unknown) => {
      throw startFailed(error, { id, name, isBrokenOff: context.signal.aborted });
    });
  }
  return { changed: true, detail: { case: "container", value: await context.after({ id, name }) } };
}

// A retry would create a second container, so that nothing of this may be called retryable, or said to have done nothing.
function startFailed(
  error: unknown,
  { id, name, isBrokenOff }: { readonly id: string; readonly name: string; readonly isBrokenOff: boolean },
): unknown {
  if (!(error instanceof FleetError)) return error;
  const reason = error.reason === "ENGINE_UNAVAILABLE" ? "ENGINE_FAILED" : error.reason;
  const message = `the container was created, but its start ${isBrokenOff ? "was broken off" : "failed"}: ${error.message}`;
  return new FleetError(isBrokenOff ? "OUTCOME_UNKNOWN" : reason, message, {
    metadata: { ...error.metadata, container_id: id, container_name: name },
    cause: error,
  });
}

function milliseconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : durationMs(duration);
}
