import type { Logger } from "pino";
import type { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { FailureTally } from "../../resilience/failure-tally.ts";
import { addressGroup } from "./address-group.ts";

const maxLinesEach = 20;

/** What a log of refusals needs. */
export interface RefusalLogParts {
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Logs streams that were refused: of one address the first 20 in a minute, because a stranger may be refused a thousand times a second and would fill
 * the disk. Figures and events are somebody else's, and count all.
 */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #told: FailureTally;

  constructor({ logger, clock }: RefusalLogParts) {
    this.#logger = logger;
    this.#told = new FailureTally({ clock });
  }

  /** A stream of this peer was refused. `what` says which kind of stream, as the beginning of a sentence. */
  refused(peer: string, what: string, { reason, message, cause }: FleetError): void {
    const count = this.#told.failed(addressGroup(peer));
    if (count > maxLinesEach) return;

    const isLast = count === maxLinesEach;
    const note = isLast ? "; further ones of this address are not logged within this minute" : "";
    this.#logger.info({ address: peer, reason, cause }, `${what} was refused: ${message}${note}`);
  }
}
