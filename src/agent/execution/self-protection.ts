import { FleetError } from "../../domain/errors.ts";
import type { OperationCase } from "../../rpc/operation-traits.ts";
import type { EngineContainer } from "../engine/engine.ts";

/** The label that protects a container; the control plane's own carries it. */
export const protectedLabel = "dev.fairlead.protected";

/**
 * What an operation does to the container that it names: harm, or get at what is in it. A new one of the schema does not compile until it is
 * decided here.
 */
const effects: Readonly<Record<OperationCase, "none" | "harms" | "enters">> = {
  inspectContainer: "none",
  createContainer: "none",
  startContainer: "none",
  stopContainer: "harms",
  restartContainer: "harms",
  killContainer: "harms",
  pauseContainer: "harms",
  unpauseContainer: "none",
  renameContainer: "harms",
  removeContainer: "harms",
  // What runs in it can end it, reads its secrets, and has the engine's socket without the host's policy.
  runExec: "enters",
  listProcesses: "none",
  listChanges: "none",
  waitContainer: "none",
  // With too little memory it is killed.
  updateContainer: "harms",
  openLogs: "none",
  openProcess: "enters",
  openStats: "none",
  statPath: "none",
  getDiskUsage: "none",
  // Its files are an agent's key, or an administrator's.
  copyOut: "enters",
  // What is written into it may be its program.
  copyIn: "enters",
};

/** Whether an operation may end or change its container. What it was is to be known after a crash, so that it is not called done on a protected one. */
export function isHarmful(operation: OperationCase): boolean {
  return effects[operation] === "harms";
}

/**
 * Keeps the fleet from cutting off the branch that it sits on: the container that the agent runs in, and every one that
 * is labelled as protected, can be neither ended nor renamed nor frozen nor entered through the agent.
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

  /** Throws `PROTECTED_CONTAINER` for what would harm a protected container, or enter it. */
  refuse(operation: OperationCase, container: EngineContainer): void {
    if (effects[operation] === "none" || !this.covers(container)) return;
    throw new FleetError(
      "PROTECTED_CONTAINER",
      `container ${container.name} is protected: Fairlead itself runs in it, or its label ${protectedLabel} says so`,
      { metadata: { container_id: container.id, container_name: container.name } },
    );
  }
}
