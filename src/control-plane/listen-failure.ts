import { isIPv6 } from "node:net";
import { FleetError } from "../domain/errors.ts";
import type { ListenAddress } from "./config.ts";

const causes: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use by another program, maybe by another Fairlead",
  EACCES: "needs more rights than this process has",
  EADDRNOTAVAIL: "is no address of this machine",
  ENOTFOUND: "is no name that this machine knows an address for",
};

/**
 * Why an address cannot be listened on, and which setting chooses another: CONFLICT where somebody else has it,
 * else INVALID_ARGUMENT. What says nothing of an address is returned as it is.
 */
export function listenFailure(error: unknown, { host, port }: ListenAddress, setting: string): unknown {
  const code = systemCodeOf(error);
  const why = code === undefined ? undefined : causes[code];
  if (why === undefined) return error;
  const address = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  const taken = code === "EADDRINUSE";
  return new FleetError(
    taken ? "CONFLICT" : "INVALID_ARGUMENT",
    `${address} ${why}; ${taken ? "stop that program, or " : ""}choose another address with ${setting}`,
    { cause: error },
  );
}

// Whoever opened the port may have said more about it.
function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return "code" in error && typeof error.code === "string" ? error.code : systemCodeOf(error.cause);
}
