import assert from "node:assert/strict";
import type { Container } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { uniqueName } from "./docker.ts";
import { Fleet } from "./fleet.ts";
import { type FleetEngine, type MakeFleetEngine, simulatedFleetEngine } from "./fleet-engine.ts";

/** The name of the host whose engine the suite is about. */
export const main = "main";

/** The name of a second host, always simulated. */
export const other = "other";

// So many that two of their ids begin with the same digit.
const otherContainers = 17;

/** A fleet of two hosts, and the usual steps of its tests. */
export class FleetKit {
  #fleet: Fleet | undefined;
  #engine: FleetEngine | undefined;
  #other: FleetEngine | undefined;

  /** To be called before the first test. */
  async begin(context: Mocha.Context, makeEngine: MakeFleetEngine): Promise<void> {
    this.#engine = await makeEngine(context, "lasting");
    this.#other = simulatedFleetEngine({ containers: otherContainers });
    this.#fleet = await Fleet.start();
    await this.#fleet.enrol(main, this.#engine.engine);
    await this.#fleet.enrol(other, this.#other.engine);
  }

  /** To be called after the last one, also when `begin` failed. Fails when something is left. */
  async end(): Promise<void> {
    try {
      await this.#fleet?.[Symbol.asyncDispose]();
    } finally {
      await this.#engine?.dispose();
      await this.#other?.dispose();
    }
  }

  get fleet(): Fleet {
    assert.ok(this.#fleet !== undefined, "the tests have not begun");
    return this.#fleet;
  }

  /** The engine of the main host. */
  get engine(): FleetEngine {
    assert.ok(this.#engine !== undefined, "the tests have not begun");
    return this.#engine;
  }

  /** The labels of the test's containers, with one that only this call gives: a test sees its own only. */
  freshLabels(): Record<string, string> {
    return { ...this.engine.labels, "dev.fairlead.run": uniqueName("run") };
  }

  /** Creates a container on the main host, and starts it unless told otherwise. */
  make(more: { readonly start?: boolean; readonly command?: string[] } = {}): Promise<Container> {
    return this.fleet.make(main, this.engine.uniqueName(), this.engine.labels, more);
  }

  /** What the main host's engine itself says of a container's state. */
  async trueState({ id, name }: { readonly id: string; readonly name: string }): Promise<string | undefined> {
    return (await this.engine.truth())[`${id} ${name}`];
  }
}
