import { createContextKey } from "@connectrpc/connect";
import type { ContextKey } from "@connectrpc/connect";
import type { FleetError } from "../domain/errors.ts";
import type { Role } from "../gen/fairlead/access/v1/role_pb.js";

/** Who makes a call. */
export interface Caller {
  /** For the journal, the events and the log, for example "local" or the name of a key. Never a secret. */
  readonly name: string;
  /** What it may do: all that this role and the roles before it may. */
  readonly role: Role;
  /** Id of its API key, for the events. Undefined: it has none. */
  readonly keyId?: string | undefined;
  /** Whose calls its are counted with, for limits. Undefined: they are without limit of their own. */
  readonly account?: string | undefined;
  /** What of the fleet exists for it, in terms of whoever answers its calls. Undefined: everything. */
  readonly scope?: unknown;
  /**
   * Calls the listener, once, when it may no longer call, or at once when it has come to that already. Returns how to
   * take the listener off again. Undefined: it may for ever.
   */
  onEnd?(listener: (reason: FleetError) => void): () => void;
}

/**
 * Says who calls, by the headers of the call and the network address that it comes from. Throws a `FleetError` with `UNAUTHENTICATED` when they do not tell.
 * Runs before anything else looks at the call.
 */
export type Authenticate = (headers: Headers, address: string) => Caller | Promise<Caller>;

/** Where a handler finds its caller: `context.values.get(callerKey)`. Set for every call that reaches a handler. */
export const callerKey: ContextKey<Caller | undefined> = createContextKey<Caller | undefined>(undefined, {
  description: "caller",
});

/** The caller of a handler's call. Throws when there is none: it did not come through the door. */
export function callerOf(values: { get<Value>(key: ContextKey<Value>): Value }): Caller {
  const caller = values.get(callerKey);
  if (caller === undefined) {
    throw new Error("the call has no caller: nobody let it in");
  }
  return caller;
}

/** Why a call was refused before its body was read. */
export const refusalKey: ContextKey<{ readonly reason: unknown } | undefined> = createContextKey<
  { readonly reason: unknown } | undefined
>(undefined, { description: "refusal" });

/** Where a handler finds the network address that its call came from. Empty when the connection is gone already. */
export const peerAddressKey: ContextKey<string> = createContextKey("", { description: "peer address" });
