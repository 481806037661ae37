import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type InventoryUpdate,
  InventoryUpdateSchema,
} from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { ContainerSchema, ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import type { ContainerFilter } from "../../../src/control-plane/inventory/container-filter.ts";
import type { LocatedContainer } from "../../../src/control-plane/inventory/host-view.ts";

/** A filter that everything passes. */
export const everything: ContainerFilter = { hosts: [], states: [], nameContains: "", image: "", labels: [] };

/** A full id that begins as given. */
export function idOf(prefix: string): string {
  return prefix.padEnd(64, "0");
}

/** "Here is a container." It runs unless told otherwise. */
export function seen(container: MessageInitShape<typeof ContainerSchema>): InventoryUpdate {
  const value = create(ContainerSchema, { state: ContainerState.RUNNING, ...container });
  return create(InventoryUpdateSchema, { update: { case: "container", value } });
}

/** "This container is gone." */
export function gone(id: string): InventoryUpdate {
  return create(InventoryUpdateSchema, { update: { case: "removedContainerId", value: id } });
}

/** "A snapshot begins." */
export function begin(): InventoryUpdate {
  return create(InventoryUpdateSchema, { update: { case: "snapshotBegin", value: {} } });
}

/** "The snapshot is complete." */
export function end(): InventoryUpdate {
  return create(InventoryUpdateSchema, { update: { case: "snapshotEnd", value: {} } });
}

/** "host/name" of each, in the order of the list. */
export function labelsOf(found: readonly LocatedContainer[]): string[] {
  return found.map(({ host, container }) => `${host.hostName}/${container.name}`);
}
