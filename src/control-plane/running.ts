import { setTimeout as delay } from "node:timers/promises";
import { FleetError } from "../domain/errors.ts";
import type { ApiServer } from "../rpc/api-server.ts";
import type { FolderLock } from "../disk/folder-lock.ts";
import type { Rooms } from "./rooms.ts";
import type { AgentsListener } from "./session/agents-listener.ts";

/** What runs and is to end. */
export interface RunningParts {
  readonly rooms: Rooms;
  readonly agents: AgentsListener;
  readonly api: ApiServer;
  readonly lock: FolderLock;
}

// How often a database that failed is tried again.
const probeIntervalMs = 1_000;

/** The end of a control plane, in order: no new calls, no new sessions, what runs, sessions, listeners, database. */
export class Running {
  readonly #parts: RunningParts;
  readonly #probe: NodeJS.Timeout;
  readonly #stopHealth: () => void;
  readonly #hurry = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(parts: RunningParts) {
    const { rooms } = parts;
    this.#parts = parts;
    this.#probe = setInterval(() => void this.#probeStorage(), probeIntervalMs);
    this.#probe.unref();
    this.#stopHealth = rooms.storage.onHealth((healthy) => {
      rooms.health.set("storage", healthy ? "SERVING" : "NOT_SERVING");
    });
    rooms.retention.start();
  }

  /** Ends it; when it is ending already, the shorter grace counts. */
  async close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close();
    const stop = new AbortController();
    const hurry = delay(graceMs, undefined, { signal: stop.signal }).then(
      () => this.#hurry.abort(),
      () => undefined,
    );
    await this.#closing;
    stop.abort();
    await hurry;
  }

  async #close(): Promise<void> {
    const { rooms, agents, api, lock } = this.#parts;
    clearInterval(this.#probe);
    this.#stopHealth();
    agents.setServing(false);
    rooms.streams.drain(rooms.config.reconnectAfterMs ?? 5_000);
    const drained = api.drain();
    await rooms.dispatcher.drain(this.#hurry.signal);
    rooms.dispatcher.close();
    rooms.events.close();
    await Promise.race([drained, aborted(this.#hurry.signal)]);
    await api.close();
    await rooms.dataStreams.close(new FleetError("DRAINING", "the control plane is going away"));
    await rooms.streams.close();
    await agents.close();
    await rooms.access.close();
    await rooms.retention.close();
    rooms.tls?.close();
    rooms.agentTls.close();
    rooms.wheel.clear();
    await rooms.storage.close();
    lock.release();
  }

  async #probeStorage(): Promise<void> {
    const { storage } = this.#parts.rooms;
    if (!storage.healthy()) await storage.probe();
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}
