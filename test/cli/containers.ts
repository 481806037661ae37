import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Container,
  ContainerSchema,
  ContainerState,
} from "../../src/gen/fairlead/container/v1/container_pb.js";
import { nowMs } from "./command-line.ts";

const minuteMs = 60_000;

/** A moment before the moment of the tests. */
export function minutesAgo(minutes: number) {
  return timestampFromMs(nowMs - minutes * minuteMs);
}

/** A container as the API tells it: running since five minutes on the host "web-1", unless said otherwise. */
export function containerOf(parts: MessageInitShape<typeof ContainerSchema> = {}): Container {
  const container: object = {
    id: "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c0000",
    name: "web",
    image: "nginx:1.27",
    command: "/docker-entrypoint.sh nginx -g 'daemon off;'",
    state: ContainerState.RUNNING,
    createdTime: minutesAgo(80),
    startedTime: minutesAgo(5),
    observedTime: minutesAgo(0),
    host: { id: "h-1", name: "web-1", online: true },
    ...parts,
  };
  return create(ContainerSchema, container);
}
