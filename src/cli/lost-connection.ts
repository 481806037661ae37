import { FleetError, type Reason } from "../domain/errors.ts";
import type { Environment } from "./environment.ts";

/** A stream that shall outlive its connection. */
export interface Following {
  /** Reads it, from where it was. Resolves to whether all has been told; otherwise it is begun again. */
  readonly read: () => Promise<boolean>;
  /** Whether there is something to go on from. What never began fails with what ended it. */
  readonly hasBegun: () => boolean;
  /** Is called each time the connection is lost. */
  readonly onLost?: () => void;
}

const passing: ReadonlySet<Reason> = new Set<Reason>([
  "SERVER_UNREACHABLE",
  "DRAINING",
  "AGENT_DISCONNECTED",
  "AGENT_OFFLINE",
]);

/** How long to wait before a stream that was lost, or was ended, is begun again. */
const reconnectDelayMs = 2_000;

/**
 * Reads a stream until all is told, over lost connections. Resolves as well when the person wants an end, which is a good one; rejects with
 * what will not pass.
 */
export async function followOverLosses(
  { signal, clock }: Pick<Environment, "signal" | "clock">,
  { read, hasBegun, onLost }: Following,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await read()) return;
    } catch (error) {
      if (signal.aborted) return;
      if (!hasBegun() || !isLost(error)) throw error;
      onLost?.();
    }
    await clock.sleep(reconnectDelayMs, signal).catch(() => "ended by the person, which is a good end");
  }
}

function isLost(error: unknown): boolean {
  return error instanceof FleetError && passing.has(error.reason);
}
