import type { ContainerUpdate } from "../../gen/fairlead/container/v1/container_update_pb.js";
import { failureFromAnswer } from "./docker-errors.ts";
import { changedMembers } from "./docker-limits.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

/** As little memory as Docker lets a container have. */
export const leastMemoryBytes = 6 * 1024 * 1024;

/** Changes what a container may use. False: it was so already. Throws what Docker would say to the same request. */
export function updateSimulatedContainer(
  container: SimulatedContainer,
  update: ContainerUpdate,
  cpuCount: number,
): boolean {
  const { HostConfig: now } = container.inspect();
  const members = changedMembers(update, now ?? {});
  const { Memory = 0, MemorySwap = 0, NanoCpus = 0, RestartPolicy: policy } = members;
  if (Memory > 0 && Memory < leastMemoryBytes) {
    throw failureFromAnswer(400, "Minimum memory limit allowed is 6MB");
  }
  if (NanoCpus > cpuCount * 1e9) {
    const words = `Range of CPUs is from 0.01 to ${cpuCount}.00, as there are only ${cpuCount} CPUs available`;
    throw failureFromAnswer(400, words);
  }
  if (MemorySwap === 0 && Memory > (now?.MemorySwap ?? 0)) {
    throw cannotUpdate(
      container,
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
  }
  if (now?.AutoRemove === true && (policy?.Name ?? "no") !== "no") {
    throw cannotUpdate(
      container,
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  }
  container.updates = { ...container.updates, ...members };
  return Object.keys(members).length > 0;
}

function cannotUpdate({ id }: SimulatedContainer, why: string): Error {
  return failureFromAnswer(409, `Cannot update container ${id}: ${why}`);
}
