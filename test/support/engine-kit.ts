import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Engine } from "../../src/agent/engine/engine.ts";
import { FleetError, type Reason } from "../../src/domain/errors.ts";
import type { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { ContainerSpecSchema } from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";

/** An engine to try, and what must be known of its surroundings. */
export interface EngineHarness {
  readonly engine: Engine;
  /** An image without a command of its own, with a shell. */
  readonly image: string;
  /** A network besides the engine's own ones. */
  readonly network: string;
  /** The labels that every container must have. */
  readonly labels: Readonly<Record<string, string>>;
  /** A name that nobody has. */
  uniqueName(): string;
  /** How many logs and processes the engine has open for us. */
  openStreams(): number;
  /** The command lines of all processes in a container. */
  processesOf(container: string): Promise<string[]>;
  /** Removes all containers of this harness; fails when something is left. */
  dispose(): Promise<void>;
}

/** What a specification leaves open is a container that sleeps. */
type SpecInit = Partial<MessageInitShape<typeof ContainerSpecSchema>>;

/** An engine and the usual steps of its tests. */
export class EngineKit {
  #harness: EngineHarness | undefined;

  /** To be called before the first test. */
  begin(harness: EngineHarness): void {
    this.#harness = harness;
  }

  /** To be called after the last one, also when `begin` never was. */
  async end(): Promise<void> {
    await this.#harness?.dispose();
  }

  get harness(): EngineHarness {
    assert.ok(this.#harness !== undefined, "the tests have not begun");
    return this.#harness;
  }

  get engine(): Engine {
    return this.harness.engine;
  }

  /** Creates a container. */
  async make(init: SpecInit = {}, name = this.harness.uniqueName()): Promise<{ id: string; name: string }> {
    const spec = create(ContainerSpecSchema, {
      image: this.harness.image,
      command: ["sleep", "600"],
      ...init,
      labels: { ...this.harness.labels, ...init.labels },
    } as MessageInitShape<typeof ContainerSpecSchema>);
    return { id: await this.engine.createContainer(name, spec, neverAborted), name };
  }

  /** Creates a container and starts it. */
  async run(init?: SpecInit): Promise<{ id: string; name: string }> {
    const made = await this.make(init);
    await this.engine.startContainer(made.id, neverAborted);
    return made;
  }

  async stateOf(container: string): Promise<ContainerState | undefined> {
    return (await this.engine.getContainer(container, neverAborted)).state;
  }

  /** Removes with force. */
  async remove(container: string): Promise<{ readonly changed: boolean }> {
    return this.engine.removeContainer(container, { force: true, removeVolumes: true }, neverAborted);
  }
}

/** Waits for a rejection with this reason and these words, and resolves to it. */
export async function refused(call: Promise<unknown>, reason: Reason, words: string): Promise<FleetError> {
  const error = await call.then(
    () => assert.fail(`expected ${reason}, but it succeeded`),
    (error: unknown) => error,
  );
  assert.ok(error instanceof FleetError, String(error));
  assert.equal(error.reason, reason, error.message);
  assert.ok(error.message.includes(words), `"${error.message}" does not say "${words}"`);
  return error;
}

/** Waits until it is so; fails when it takes longer than ten seconds. */
export async function settled(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, "it takes too long");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
