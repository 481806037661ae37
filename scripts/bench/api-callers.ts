import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { type Drive, type Driven, drive } from "./drive.ts";
import { answerParent } from "./parent-link.ts";

// Callers of an API in a process of their own, all over one HTTP/2 connection.

answerParent({
  drive: async ({ server, containers, callers, ...times }: ApiLoad): Promise<Driven> => {
    const client = createClient(ContainerService, createGrpcTransport({ baseUrl: server }));
    const calls = Array.from({ length: callers }, (_, index) => {
      const request = containers[index % containers.length];
      return () => client.inspectContainer(request ?? {});
    });
    return await drive({ ...times, callers: calls });
  },
});

/** What the callers of an API are asked to do: to inspect these containers. */
export interface ApiLoad extends Omit<Drive, "callers"> {
  readonly server: string;
  readonly containers: readonly { readonly host: string; readonly container: string }[];
  readonly callers: number;
}
