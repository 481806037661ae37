import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { create } from "@bufbuild/protobuf";
import {
  ContainerService,
  InspectContainerResponseSchema,
} from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { answerParent } from "./parent-link.ts";

// The floor of a call through the API: connect-node, the same messages, and a handler that answers at once.

const answer = create(InspectContainerResponseSchema, {
  container: { id: "0".repeat(64), name: "web-1" },
  engineJson: "{}",
});

const server = createServer(
  connectNodeAdapter({
    routes: (router) => router.rpc(ContainerService.method.inspectContainer, () => answer),
  }),
);

answerParent({
  listen: async () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.on("error", reject).listen(0, "127.0.0.1", resolve);
    await promise;
    const address = server.address();
    if (address === null || typeof address === "string") throw new TypeError("no port");
    return `http://127.0.0.1:${address.port}`;
  },
});
