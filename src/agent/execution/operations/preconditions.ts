import { FleetError } from "../../../domain/errors.ts";
import { ContainerState } from "../../../gen/fairlead/container/v1/container_pb.js";
import type { Preconditions } from "../../../gen/fairlead/container/v1/preconditions_pb.js";
import type { EngineContainer } from "../../engine/engine.ts";

/** Throws `PRECONDITION_FAILED`, with what was seen, when a container is not what the caller believes. What is unset is not compared. */
export function checkPreconditions(expected: Preconditions, seen: EngineContainer): void {
  const differing = [
    ...digestDiffers(expected, seen),
    ...startDiffers(expected, seen),
    ...stateDiffers(expected, seen),
  ];
  if (differing.length === 0) return;
  const [first] = differing;
  const message = `container ${seen.name} is not as expected: its ${first?.what} is ${first?.seen}, not ${first?.expected}`;
  const metadata = Object.fromEntries(differing.map(({ what, seen }) => [`seen_${what}`, seen]));
  throw new FleetError("PRECONDITION_FAILED", message, { metadata: { container_id: seen.id, ...metadata } });
}

interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly seen: string;
}

function difference(what: string, expected: string, seen: string): Difference[] {
  return expected === seen ? [] : [{ what, expected, seen }];
}

function digestDiffers(
  { expectedImageDigest }: Preconditions,
  { imageId = "" }: EngineContainer,
): Difference[] {
  return expectedImageDigest === "" ? [] : difference("image_digest", expectedImageDigest, imageId);
}

function startDiffers(
  { expectedStartedTime }: Preconditions,
  { startedTime }: EngineContainer,
): Difference[] {
  if (expectedStartedTime === undefined) return [];
  return difference("started_time", momentText(expectedStartedTime), momentText(startedTime));
}

function stateDiffers({ expectedState }: Preconditions, { state }: EngineContainer): Difference[] {
  if (expectedState === ContainerState.UNSPECIFIED) return [];
  return difference("state", stateText(expectedState), stateText(state ?? ContainerState.UNSPECIFIED));
}

// Seconds and nanoseconds, because a moment of the engine does not fit into milliseconds.
function momentText(time: { readonly seconds?: bigint; readonly nanos?: number } | undefined): string {
  if (time === undefined) return "never";
  return `${time.seconds ?? 0n}.${String(time.nanos ?? 0).padStart(9, "0")}`;
}

function stateText(state: ContainerState): string {
  return (ContainerState[state] ?? `${state}`).toLowerCase();
}
