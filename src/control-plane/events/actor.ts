import type { NewEvent } from "../../storage/records.ts";

/** Who did something by a call. */
export interface Actor {
  /** The caller's name. */
  readonly name: string;
  /** Where the call came from. */
  readonly address: string;
  /** The API key that it had. Undefined: none. */
  readonly keyId?: string | undefined;
}

/** The part of an event that says who did it, beside the event's own attributes. */
export function doneBy(
  { name, address, keyId }: Actor,
  attributes: Readonly<Record<string, string>> = {},
): Pick<NewEvent, "actor" | "attributes"> {
  return {
    actor: name,
    attributes: {
      ...attributes,
      ...(address === "" ? {} : { address }),
      ...(keyId === undefined ? {} : { key_id: keyId }),
    },
  };
}
