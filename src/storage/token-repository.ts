import type { CreationPlace } from "./lookup.ts";
import type { NewEvent, TokenRecord } from "./records.ts";

/** Registration tokens. Their uses are counted by `FleetRepository.enrol`. */
export interface TokenRepository {
  create(token: TokenRecord, events: readonly NewEvent[]): Promise<void>;
  /** A page of tokens, newest first, beginning with the one created before the given one. */
  list(before: CreationPlace | undefined, limit: number): Promise<TokenRecord[]>;
  /**
   * Revokes a token and stores the events that `events` makes of it. A token that was revoked before is returned as
   * it is, with no event. Undefined when there is no such token.
   */
  revoke(
    id: string,
    now: number,
    events: (token: TokenRecord) => readonly NewEvent[],
  ): Promise<TokenRecord | undefined>;
  /** The token whose secret has this SHA-256. */
  findByHash(secretHash: Uint8Array): Promise<TokenRecord | undefined>;
  /**
   * Deletes at most `batch` of the tokens that expired or were revoked before `endedBefore`, the oldest first. Returns how many; fewer
   * than `batch` means that none is left to delete.
   */
  prune(rule: { readonly endedBefore: number; readonly batch: number }): Promise<number>;
}
