import type { Storage } from "../../storage/storage.ts";
import type { EventDraft } from "../events/event-log.ts";

const pageSize = 256;
const maxPages = 80;

/** So much may a host's clock be ahead, and its events are found all the same. */
const toleratedAheadMs = 60 * 60 * 1000;

/** What tells one event of a host from another. */
export type HostEventKey = Pick<EventDraft, "type" | "containerId" | "eventTime">;

/** The event as one word: the same for the same fact, however often it is told. */
export function hostEventKey({ type, containerId, eventTime }: HostEventKey): string {
  return `${eventTime} ${type} ${containerId}`;
}

/**
 * The keys of a host's stored events that happened at this time or later, by its engine's clock; of the newest 20,000. Rejects with
 * `STORAGE_UNAVAILABLE`.
 */
export async function knownHostEvents(
  events: Pick<Storage["events"], "newestOfHost">,
  hostId: string,
  fromMs: number,
): Promise<Set<string>> {
  const known = new Set<string>();
  let before: number | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const records = await events.newestOfHost(hostId, before, pageSize);
    for (const record of records) {
      if (record.containerId !== "" && record.eventTime >= fromMs) known.add(hostEventKey(record));
    }
    const oldest = records.at(-1);
    // Nothing is recorded long before it happens, so that what was recorded earlier is too old.
    if (oldest === undefined || records.length < pageSize) break;
    if (oldest.recordTime < fromMs - toleratedAheadMs) break;
    before = oldest.sequence;
  }
  return known;
}
