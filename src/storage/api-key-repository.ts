import type { CreationPlace } from "./lookup.ts";
import type { ApiKeyRecord, NewEvent } from "./records.ts";

/** Keys of the API. Rejects as every part of `Storage` does. */
export interface ApiKeyRepository {
  /** Stores a key and the events. False, and nothing stored, when another key that is not revoked has its name. */
  create(key: ApiKeyRecord, events: readonly NewEvent[]): Promise<boolean>;
  /** A key by its id. */
  get(id: string): Promise<ApiKeyRecord | undefined>;
  /** A page of keys, newest first, beginning with the one created before the given one. */
  list(before: CreationPlace | undefined, limit: number): Promise<ApiKeyRecord[]>;
  /**
   * Revokes a key, by its id or by the name that it has while it is not revoked, and stores the events that `events`
   * makes of it. One that was revoked before is returned as it is, with no event. Undefined when there is no such key.
   */
  revoke(
    idOrName: string,
    now: number,
    events: (key: ApiKeyRecord) => readonly NewEvent[],
  ): Promise<ApiKeyRecord | undefined>;
  /** Whether some key may manage keys now: an admin's, for all hosts, neither revoked nor expired. */
  hasAdmin(now: number): Promise<boolean>;
  /** Notes when keys were used last, all in one transaction. Keys that are gone are left out. */
  noteUses(uses: readonly { readonly id: string; readonly time: number }[]): Promise<void>;
}
