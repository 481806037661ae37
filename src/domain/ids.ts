import { v7 } from "uuid";

/**
 * A new id: UUIDv7 (RFC 9562) in its usual form of 36 characters. Ids sort by the time they were made, so that they
 * serve as keys of pages as well.
 */
export function newId(): string {
  return v7();
}
