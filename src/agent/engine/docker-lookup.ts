import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { eachOf } from "../../resilience/each-of.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { containerFromInspection, parseInspection } from "./docker-container.ts";
import { isGone } from "./docker-errors.ts";
import type { DockerInspection } from "./docker-json.ts";
import type { EngineContainer } from "./engine.ts";
import { momentFromMilliseconds } from "./rfc3339.ts";

/** How many containers are looked at side by side for a list. */
const inspectionsAtOnce = 8;

// What an ambiguous name could mean is told of so many.
const maxCandidates = 16;

/** Finds containers of a Docker Engine by id, prefix or name, and tells what they are. Rejects as `Engine` says. */
export class DockerLookup {
  readonly #connection: DockerConnection;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(parts: {
    readonly connection: DockerConnection;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#connection = parts.connection;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  /** Every container that the engine can tell of. Docker's own list lacks exit codes, times, health and restarts, so each is looked at. */
  async list(signal: AbortSignal): Promise<EngineContainer[]> {
    const ids = await this.#listIds(signal);
    const found = await eachOf(ids, inspectionsAtOnce, (id) => this.#lookIfSound(id, signal));
    return found.filter((container) => container !== undefined);
  }

  /** One container, and the engine's JSON about it as it came. */
  async look(
    container: string,
    signal: AbortSignal,
  ): Promise<{ readonly container: EngineContainer; readonly engineJson: string }> {
    const text = await this.#read(container, signal);
    const observed = momentFromMilliseconds(this.#clock.now());
    return { container: containerFromInspection(parseInspection(text), observed), engineJson: text.trim() };
  }

  /** One container in Docker's words. */
  async inspect(container: string, signal: AbortSignal): Promise<DockerInspection> {
    return parseInspection(await this.#read(container, signal));
  }

  /** The same, for those that look at one container again and again. */
  inspectorOf(container: string): (signal: AbortSignal) => Promise<DockerInspection> {
    return (signal) => this.inspect(container, signal);
  }

  /** Makes a call about a container, and adds to the error about an ambiguous name what it could mean. */
  async named<Value>(container: string, signal: AbortSignal, call: () => Promise<Value>): Promise<Value> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof FleetError && error.reason === "CONTAINER_AMBIGUOUS")) {
        throw error;
      }
      const candidates = (await this.#listIds(signal)).filter((id) => id.startsWith(container));
      throw error.with({ candidates: candidates.slice(0, maxCandidates).join(",") });
    }
  }

  async #read(container: string, signal: AbortSignal): Promise<string> {
    const call = { method: "GET", path: pathOf(container, "/json") } as const;
    const { text } = await this.named(container, signal, () => this.#connection.request(call, signal));
    return text;
  }

  async #listIds(signal: AbortSignal): Promise<string[]> {
    const listed = await this.#connection.requestJson<readonly { readonly Id: string }[]>(
      { method: "GET", path: "/containers/json", query: { all: true } },
      signal,
    );
    return listed.map(({ Id }) => Id);
  }

  /** Undefined when it is gone, or when the engine cannot tell of it: one such container must not hide the others. */
  async #lookIfSound(id: string, signal: AbortSignal): Promise<EngineContainer | undefined> {
    try {
      return (await this.look(id, signal)).container;
    } catch (error) {
      if (error instanceof FleetError && error.reason === "ENGINE_FAILED") {
        this.#logger.warn(
          { containerId: id, err: error },
          "left out a container that the engine cannot inspect",
        );
        return undefined;
      }
      if (isGone(error)) {
        return undefined;
      }
      throw error;
    }
  }
}

/** The address of a container, or of something of it, in Docker's API. */
export function pathOf(container: string, rest: string): string {
  return `/containers/${encodeURIComponent(container)}${rest}`;
}
