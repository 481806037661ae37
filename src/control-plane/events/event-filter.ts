import type { NewEvent } from "../../storage/records.ts";

/** Which events somebody wants. What is left out does not filter; the values of one filter are alternatives. */
export interface EventFilter {
  readonly types?: readonly number[];
  readonly hostIds?: readonly string[];
  /** Full id or name of a container. */
  readonly container?: string;
  readonly commandId?: string;
}

/** A test for the events that the database finds by the same filter. */
export function eventTest({
  types,
  hostIds,
  container,
  commandId,
}: EventFilter): (event: NewEvent) => boolean {
  const hosts = hostIds && new Set(hostIds);
  return (event) =>
    (types === undefined || types.includes(event.type)) &&
    (hosts === undefined || hosts.has(event.hostId)) &&
    (container === undefined || event.containerId === container || event.containerName === container) &&
    (commandId === undefined || event.commandId === commandId);
}
