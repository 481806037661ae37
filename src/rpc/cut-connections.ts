import type { Logger } from "pino";
import { FailureTally } from "../resilience/failure-tally.ts";
import type { Clock } from "../resilience/clock.ts";
import { addressSite } from "./address-site.ts";

/** For what a connection was ended: floods of one kind of frame, or whatever else breaks the rules of HTTP/2. */
export type CutCause = "ping_flood" | "settings_flood" | "protocol";

/** What is told of connections that were ended for what was sent on them. */
export interface CutConnectionsParts {
  /** Which port it is, for the log and the figures. */
  readonly port: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Counts it. Must not throw. */
  readonly onCut?: (port: string, cause: CutCause) => void;
}

/**
 * Makes what is to be called for each connection of a port that was ended for what was sent on it: counts all of them, and logs of one address
 * the first in a minute, because whoever floods comes again.
 */
export function tellOfCutConnections({
  port,
  logger,
  clock,
  onCut = () => undefined,
}: CutConnectionsParts): (cause: CutCause, address: string) => void {
  const told = new FailureTally({ clock });
  return (cause, address) => {
    onCut(port, cause);
    if (told.failed(addressSite(address)) > 1) return;
    logger.warn({ port, cause, address }, "a connection was ended for what was sent on it");
  };
}
