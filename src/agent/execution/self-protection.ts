import { FleetError } from "../../domain/errors.ts";
import type { OperationCase } from "../../rpc/operation-traits.ts";
import type { EngineContainer } from "../engine/engine.ts";

/** The label that protects a container; the control plane's own carries it. */
export const protectedLabel = "dev.fairlead.protected";

/** Whether an operation would harm the container that it names. A new one of the schema does not compile until it is decided here. */
const harmful: Readonly<Record<OperationCase, boolean>> = {
  inspectContainer: false,
  createContainer: false,
  startContainer: false,
  stopContainer: true,
  restartContainer: true,
  killContainer: true,
  pauseContainer: true,
  unpauseContainer: false,
  renameContainer: true,
  removeContainer: true,
  runExec: false,
  listProcesses: false,
  listChanges: false,
  // With too little memory it is killed.
  updateContainer: true,
  openLogs: false,
  openProcess: false,
  openStats: false,
  statPath: false,
  getDiskUsage: false,
  copyOut: false,
  // What is written into it may be its program.
  copyIn: true,
};

/** Whether an operation is refused for a protected container. */
export function isHarmful(operation: OperationCase): boolean {
  return harmful[operation];
}

/**
 * Keeps the fleet from cutting off the branch that it sits on: the container that the agent runs in, and every one that
 * is labelled as protected, can be neither ended nor renamed nor frozen through the agent.
 */
export class SelfProtection {
  readonly #ownContainerId: string | undefined;

  /** `ownContainerId`: full id or at least its first 12 digits; undefined when the agent runs in no container. */
  constructor(ownContainerId: string | undefined) {
    this.#ownContainerId = ownContainerId === "" ? undefined : ownContainerId;
  }

  /** Whether a container is protected, told by its id and label alone. */
  covers(container: EngineContainer): boolean {
    const isOwn = this.#ownContainerId !== undefined && container.id.startsWith(this.#ownContainerId);
    return isOwn || container.labels?.[protectedLabel] === "true";
  }

  /** Throws `PROTECTED_CONTAINER` for what would harm a protected container. */
  refuse(operation: OperationCase, container: EngineContainer): void {
    if (!isHarmful(operation) || !this.covers(container)) return;
    throw new FleetError(
      "PROTECTED_CONTAINER",
      `container ${container.name} is protected: Fairlead itself runs in it, or its label ${protectedLabel} says so`,
      { metadata: { container_id: container.id, container_name: container.name } },
    );
  }
}
