import { create } from "@bufbuild/protobuf";
import { type Container, HostReferenceSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import type { HostView } from "../inventory/host-view.ts";

/** A container for a caller: as its agent described it, and on the host where it really is, whatever the agent said of that. */
export function locatedContainer(
  container: Container,
  host: Pick<HostView, "hostId" | "hostName" | "online">,
): Container {
  return {
    ...container,
    host: create(HostReferenceSchema, { id: host.hostId, name: host.hostName, online: host.online }),
  };
}
