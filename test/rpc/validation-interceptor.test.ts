import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { FleetError } from "../../src/domain/errors.ts";
import {
  ContainerService,
  CreateContainerRequestSchema,
} from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { closeApis, startApi } from "./api-harness.ts";
import { callByGrpcJs, clientOf, rejection, transports } from "./callers.ts";

const faulty = {
  name: "not a name",
  spec: {
    image: "",
    ports: [{ containerPort: 80 }, { containerPort: 70_000 }],
    labels: { long: "x".repeat(5000) },
  },
};
const fields = ["name", "spec.image", "spec.ports[1].container_port", 'spec.labels["long"]'].toSorted();

describe("validation", () => {
  let reached = 0;
  beforeEach(() => (reached = 0));
  afterEach(closeApis);

  const services = {
    containers: {
      createContainer() {
        reached += 1;
        return {};
      },
    },
    events: {
      async *watchEvents() {
        reached += 1;
        yield {};
      },
    },
  };

  for (const [protocol, transportTo] of Object.entries(transports)) {
    it(`V02 names every field that breaks a rule, over ${protocol}`, async () => {
      const { url } = await startApi(services);
      const call = clientOf(ContainerService, transportTo(url)).createContainer(faulty);
      const error = fleetErrorFrom(await rejection(call));
      assert.equal(error.reason, "INVALID_ARGUMENT");
      assert.deepEqual(fieldsOf(error), fields);
      assert.ok(error.violations.every(({ description }) => description.length > 0));
      assert.ok(fields.every((field) => error.message.includes(field)));
      assert.equal(reached, 0);
    });

    it(`V02 names the fields of a request for a stream, over ${protocol}`, async () => {
      const { url } = await startApi(services);
      const filter = { container: "x".repeat(300), hosts: ["alpha", ""] };
      const stream = clientOf(EventService, transportTo(url)).watchEvents({ filter });
      const error = fleetErrorFrom(await rejection(stream[Symbol.asyncIterator]().next()));
      assert.equal(error.reason, "INVALID_ARGUMENT");
      const named = error.violations.map(({ field }) => field).toSorted();
      assert.deepEqual(named, ["filter.container", "filter.hosts[1]"]);
      assert.equal(reached, 0);
    });
  }

  it("V02 names every field that breaks a rule to grpc-js", async () => {
    const { authority } = await startApi(services);
    const request = create(CreateContainerRequestSchema, faulty);
    const call = callByGrpcJs(authority, ContainerService.method.createContainer, request);
    const error = fleetErrorFrom(await rejection(call));
    assert.deepEqual(fieldsOf(error), fields);
  });

  it("V02 lets a request within all bounds through", async () => {
    const { url } = await startApi(services);
    const client = clientOf(ContainerService, transports["gRPC over HTTP/2"]?.(url) ?? assert.fail());
    await client.createContainer({ name: "web", spec: { image: "nginx", ports: [{ containerPort: 80 }] } });
    assert.equal(reached, 1);
  });
});

// One field may break several rules.
function fieldsOf({ violations }: FleetError): string[] {
  return [...new Set(violations.map(({ field }) => field))].toSorted();
}
