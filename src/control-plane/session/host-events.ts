import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ContainerAction, HostEvent } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { EventDraft } from "../events/event-log.ts";
import type { SessionIdentity } from "./agent-session.ts";

const typeOfAction: Record<ContainerAction, EventType | undefined> = {
  0: undefined,
  1: EventType.CONTAINER_CREATED,
  2: EventType.CONTAINER_STARTED,
  3: EventType.CONTAINER_DIED,
  4: EventType.CONTAINER_PAUSED,
  5: EventType.CONTAINER_UNPAUSED,
  6: EventType.CONTAINER_RENAMED,
  7: EventType.CONTAINER_REMOVED,
  8: EventType.CONTAINER_HEALTHY,
  9: EventType.CONTAINER_UNHEALTHY,
  10: EventType.CONTAINER_OUT_OF_MEMORY,
  11: EventType.CONTAINER_UPDATED,
};

/** The fleet's event for what an agent's engine reported. Undefined: of a kind that this version does not know. */
export function eventFromHost(
  event: HostEvent,
  { hostId, hostName }: SessionIdentity,
): EventDraft | undefined {
  if (event.event.case !== "container" || event.eventTime === undefined) return undefined;
  const { action, containerId, containerName, image, exitCode } = event.event.value;
  const type: EventType | undefined = typeOfAction[action];
  if (type === undefined) return undefined;
  return {
    type,
    eventTime: timestampMs(event.eventTime),
    hostId,
    hostName,
    containerId,
    containerName,
    attributes: {
      image,
      ...(type === EventType.CONTAINER_DIED ? { exit_code: `${exitCode}` } : {}),
      ...(event.fromOutside ? { origin: "outside" } : {}),
      ...(event.caughtUp ? { caught_up: "true" } : {}),
    },
  };
}
