import type { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import type { EventRecord } from "../../src/storage/records.ts";
import { eventually, type TestControlPlane } from "./control-plane-harness.ts";

/** All events of one type that are stored by now, oldest first. */
export function recordedEvents(
  { controlPlane }: Pick<TestControlPlane, "controlPlane">,
  type?: EventType,
): Promise<EventRecord[]> {
  return controlPlane.events.list(type === undefined ? {} : { types: [type] }, 0, 10_000);
}

/** Waits for an event of this type that satisfies the test: it is stored a moment after what it tells of. */
export function recordedEvent(
  plane: Pick<TestControlPlane, "controlPlane">,
  type: EventType,
  test: (event: EventRecord) => boolean = () => true,
): Promise<EventRecord> {
  return eventually(async () => (await recordedEvents(plane, type)).find(test), `an event of type ${type}`);
}
