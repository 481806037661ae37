import { FleetError } from "../domain/errors.ts";

const causes: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use by another program, maybe by another Fairlead",
  EACCES: "needs more rights than this process has",
  EADDRNOTAVAIL: "is no address of this machine",
};

/**
 * The same error, or, when it says that an address cannot be listened on, one that tells a person which address,
 * why, and how to choose another.
 */
export function explainListenFailure(error: unknown): unknown {
  const text = error instanceof Error ? error.message : "";
  const [, code = "", address = "an address"] =
    /\b(EADDRINUSE|EACCES|EADDRNOTAVAIL)\b.*?((?:\d+(?:\.\d+){3}|[\da-f:]*::[\da-f:]*|localhost):\d+)/i.exec(
      text,
    ) ?? [];
  const why = causes[code];
  return why === undefined
    ? error
    : new FleetError(
        "CONFLICT",
        `${address} ${why}; stop that program, or choose other addresses with --api-listen and --agents-listen`,
        { cause: error },
      );
}
