import { FleetError } from "../../domain/errors.ts";
import type { EngineContainer } from "../engine/engine.ts";

/** The label that protects a container; the control plane's own carries it. */
export const protectedLabel = "dev.fairlead.protected";

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

  /** Throws `PROTECTED_CONTAINER` for a protected container. */
  refuse(container: EngineContainer): void {
    if (!this.covers(container)) return;
    throw new FleetError(
      "PROTECTED_CONTAINER",
      `container ${container.name} is protected: Fairlead itself runs in it, or its label ${protectedLabel} says so`,
      { metadata: { container_id: container.id, container_name: container.name } },
    );
  }
}
