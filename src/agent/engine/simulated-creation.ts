import { failureFromAnswer } from "./docker-errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import { checkNetworks, unknownNetwork } from "./networks-of-spec.ts";
import { SimulatedContainer } from "./simulated-container.ts";
import type { SimulatedContainers } from "./simulated-containers.ts";
import type { SimulatedImages } from "./simulated-images.ts";
import { inventHex, inventName, type Random } from "./simulated-names.ts";
import { parseSignal } from "./linux-signals.ts";
import { leastMemoryBytes } from "./simulated-update.ts";

/** What a new simulated container is made from. */
export interface SimulatedSurroundings {
  readonly containers: SimulatedContainers;
  readonly images: SimulatedImages;
  readonly networks: ReadonlySet<string>;
  readonly random: Random;
  readonly clock: Clock;
}

/** Makes a container and adds it to the others. Throws what Docker would say to the same request. */
export function createSimulatedContainer(
  surroundings: SimulatedSurroundings,
  name: string,
  spec: ContainerSpec,
): SimulatedContainer {
  const { containers, images, networks, random, clock } = surroundings;
  checkNetworks(spec.networks);
  for (const network of spec.networks) {
    if (!networks.has(network)) {
      throw unknownNetwork(`network ${network} not found`);
    }
  }
  const memory = spec.limits?.memoryBytes ?? 0n;
  if (memory > 0n && memory < leastMemoryBytes) {
    throw failureFromAnswer(400, "Minimum memory limit allowed is 6MB");
  }
  if (spec.stopSignal !== "") {
    parseSignal(spec.stopSignal);
  }
  const image = images.find(spec.image);
  const chosen = name === "" ? freeName(containers, random) : name;
  containers.checkName(chosen);
  const container = new SimulatedContainer(chosen, {
    id: inventHex(64, random),
    spec,
    image,
    createTime: clock.now(),
    clock,
    ipAddress: `172.17.${Math.floor(random() * 255)}.${2 + Math.floor(random() * 250)}`,
  });
  if (container.command.length === 0) {
    throw failureFromAnswer(400, "No command specified");
  }
  containers.add(container);
  return container;
}

function freeName(containers: SimulatedContainers, random: Random): string {
  const name = inventName(random);
  return containers.hasName(name) ? `${name}_${inventHex(8, random)}` : name;
}
