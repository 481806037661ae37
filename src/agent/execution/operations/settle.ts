import { ContainerState } from "../../../gen/fairlead/container/v1/container_pb.js";
import type { OperationValid } from "../../../gen/fairlead/agent/v1/operation_pb.js";
import type { ContainerUpdate } from "../../../gen/fairlead/container/v1/container_update_pb.js";
import { FleetError } from "../../../domain/errors.ts";
import { operationTraits } from "../../../rpc/operation-traits.ts";
import type { EngineContainer } from "../../engine/engine.ts";
import { restartPolicyName, restartPolicyText, restartRetries } from "../../engine/restart-policy.ts";
import type { OperationRooms, Outcome } from "./operation-context.ts";

type Value = OperationValid["operation"];

const stopped: readonly (ContainerState | undefined)[] = [
  ContainerState.CREATED,
  ContainerState.EXITED,
  ContainerState.DEAD,
];

/**
 * Looks at the engine for what became of an operation whose answer was lost. Resolves to its outcome when what was asked
 * for is so now. Otherwise rejects with `OUTCOME_UNKNOWN`, which says what was seen: the engine may still be at it, so
 * that "not yet" is never taken for "not". Rejects with `ENGINE_UNAVAILABLE` when the engine cannot be asked.
 */
export async function settle(
  operation: Value,
  container: string,
  rooms: OperationRooms,
  signal: AbortSignal,
): Promise<Outcome> {
  if (operation.case === undefined || !operationTraits(operation.case).converges) {
    throw unknown("it cannot be told from outside", container);
  }
  const seen = await look(container, rooms, signal);
  if (!tookEffect(operation, seen)) {
    const state = seen === undefined ? "no container" : stateName(seen.state);
    throw unknown(`seen afterwards: ${state}`, container, { seen: state });
  }
  const detail = seen ?? rooms.mirror.get(container);
  return { changed: true, ...(detail === undefined ? {} : { detail: { case: "container", value: detail } }) };
}

/** The container as it is now; undefined when there is none. Rejects with `ENGINE_UNAVAILABLE` when the engine cannot be asked. */
export async function look(
  container: string,
  { complete, engine }: OperationRooms,
  signal: AbortSignal,
): Promise<EngineContainer | undefined> {
  try {
    return complete(await engine.getContainer(container, signal));
  } catch (error) {
    if (error instanceof FleetError && error.reason === "CONTAINER_NOT_FOUND") return undefined;
    throw error;
  }
}

function tookEffect(operation: Value, seen: EngineContainer | undefined): boolean {
  switch (operation.case) {
    case "startContainer":
      return seen?.state === ContainerState.RUNNING;
    case "stopContainer":
      return seen !== undefined && stopped.includes(seen.state);
    case "pauseContainer":
      return seen?.state === ContainerState.PAUSED;
    case "unpauseContainer":
      return seen?.state === ContainerState.RUNNING;
    case "renameContainer":
      return seen?.name === operation.value.newName;
    case "updateContainer":
      return seen !== undefined && isUpdated(seen, operation.value.update);
    case "removeContainer":
      return seen === undefined;
    default:
      return false;
  }
}

function isUpdated({ limits, restartPolicy = "" }: EngineContainer, update: ContainerUpdate): boolean {
  const { memoryBytes, milliCpus, pids, cpuShares, restartPolicy: policy } = update;
  return (
    (memoryBytes === undefined || memoryBytes === (limits?.memoryBytes ?? 0n)) &&
    (milliCpus === undefined || milliCpus === (limits?.milliCpus ?? 0)) &&
    (pids === undefined || pids === (limits?.pids ?? 0)) &&
    (cpuShares === undefined || cpuShares === (limits?.cpuShares ?? 0)) &&
    (policy === undefined ||
      restartPolicy === restartPolicyText(restartPolicyName(policy), restartRetries(policy)))
  );
}

function stateName(state: ContainerState | undefined): string {
  return (ContainerState[state ?? ContainerState.UNSPECIFIED] ?? "unknown").toLowerCase();
}

function unknown(detail: string, container: string, metadata: Record<string, string> = {}): FleetError {
  return new FleetError("OUTCOME_UNKNOWN", `it was begun and its answer is lost; ${detail}`, {
    metadata: { container, ...metadata },
  });
}
