import type { Message } from "@bufbuild/protobuf";
import { type Container, ContainerState } from "../../gen/fairlead/container/v1/container_pb.js";
import type { ContainerSelector } from "../../gen/fairlead/container/v1/container_selector_pb.js";
import { containerTest, labelTest } from "../inventory/container-filter.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import type { HostTest, LocatedContainer } from "../inventory/host-view.ts";

const noStates: readonly ContainerState[] = [];
const live: ReadonlySet<ContainerState> = new Set([
  ContainerState.RUNNING,
  ContainerState.PAUSED,
  ContainerState.RESTARTING,
]);

/**
 * The containers that a selector finds now, ordered by host and name, at most `limit` and one more, so that the caller sees that there are too
 * many. Throws HOST_NOT_FOUND.
 */
export function selectContainers(
  inventory: FleetInventory,
  selector: Omit<ContainerSelector, keyof Message>,
  limit: number,
  sees: HostTest,
): LocatedContainer[] {
  const { hosts, nameContains, labels, hostLabels, containers, includeStopped } = selector;
  const hostTests = hostLabels.map(labelTest);
  const isOf = (host: { readonly labels: Readonly<Record<string, string>> }) =>
    hostTests.every((test) => test(host));
  const passes = containerTest({ hosts, states: noStates, nameContains, image: "", labels });
  const found: LocatedContainer[] = [];
  const filter = { hosts, states: noStates, nameContains: "", image: "", labels: [] };
  for (const located of inventory.list(
    filter,
    undefined,
    Number.POSITIVE_INFINITY,
    (host) => sees(host) && isOf(host),
  )) {
    const { container } = located;
    if (!includeStopped && !live.has(container.state)) continue;
    if (!passes(container) || !isNamed(container, containers)) continue;
    found.push(located);
    if (found.length > limit) break;
  }
  return found;
}

function isNamed({ id, name }: Container, references: readonly string[]): boolean {
  return (
    references.length === 0 ||
    references.some((reference) => reference === name || (reference.length >= 4 && id.startsWith(reference)))
  );
}
