import type { ServiceImpl } from "@connectrpc/connect";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../domain/errors.ts";
import {
  type ContainerService,
  type GetContainerRequest,
  type ListContainersRequest,
  ListContainersRequestSchema,
} from "../../gen/fairlead/container/v1/container_service_pb.js";
import type { FleetPosition } from "../inventory/fleet-inventory.ts";
import type { HostTest, LocatedContainer } from "../inventory/host-view.ts";
import { seenBy } from "./calling.ts";
import { type ContainerCommandParts, createContainerCommands } from "./container-commands.ts";
import { locatedContainer } from "./located-container.ts";
import { readPage } from "./page.ts";

/** What the container service needs. */
export type ContainerServiceParts = ContainerCommandParts;

/** Sees and acts on the containers of the fleet: reads are answered from the inventory, the rest is carried out by agents. */
export function createContainerService(parts: ContainerServiceParts): ServiceImpl<typeof ContainerService> {
  return {
    ...createContainerCommands(parts),
    listContainers: (request, { values }) => listContainers(parts, request, seenBy(values)),
    getContainer: (request, { values }) => getContainer(parts, request, seenBy(values)),
  };
}

async function listContainers(
  { inventory, clock }: ContainerServiceParts,
  request: ListContainersRequest,
  sees: HostTest,
) {
  const asOfTime = timestampFromMs(clock.now());
  const page = await readPage<typeof ListContainersRequestSchema, LocatedContainer, FleetPosition>(
    ListContainersRequestSchema,
    request,
    {
      fields: { hostName: "string", hostId: "string", containerName: "string", containerId: "string" },
      position: ({ host, container }) => ({
        hostName: host.hostName,
        hostId: host.hostId,
        containerName: container.name,
        containerId: container.id,
      }),
      read: (after, limit) => inventory.list(request, after, limit, sees),
    },
  );
  return {
    containers: page.items.map(({ container, host }) => locatedContainer(container, host)),
    nextPageToken: page.nextPageToken,
    asOfTime,
  };
}

function getContainer({ inventory }: ContainerServiceParts, request: GetContainerRequest, sees: HostTest) {
  const { host, container } = inventory.resolve(request.container, request.host, sees);
  if (container === undefined) {
    throw new FleetError(
      "CONTAINER_NOT_FOUND",
      `host "${host.hostName}" is not known to have a container "${request.container}"`,
      { metadata: { container: request.container, host_id: host.hostId, host: host.hostName } },
    );
  }
  return { container: locatedContainer(container, host) };
}
