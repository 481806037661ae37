import assert from "node:assert/strict";
import { toBinary } from "@bufbuild/protobuf";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { compressionGzip, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { floodLabel } from "../../src/agent/engine/simulated-flood.ts";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { LogService } from "../../src/gen/fairlead/container/v1/log_service_pb.js";
import { EventService, WatchEventsResponseSchema } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { keyFileOf } from "../support/api-place.ts";
import { Fleet } from "../support/fleet.ts";

describe("compression of answers", function () {
  this.timeout(60_000);
  let fleet: Fleet;
  let engine: SimulatedEngine;
  let sessions: Http2SessionManager | undefined;

  beforeEach(async () => {
    engine = new SimulatedEngine({ clock: systemClock, containers: 20 });
    fleet = await Fleet.start();
    await fleet.enrol("one", engine);
  });
  afterEach(async () => {
    sessions?.abort();
    await fleet[Symbol.asyncDispose]();
    await engine.close();
  });

  it("spares logs and events, which come as they are, and shortens the answers of other calls for a caller that takes gzip", async () => {
    let decompressed = 0;
    const { server: baseUrl, ca, apiKey } = keyFileOf(fleet.plane.controlPlane.keyFile ?? "");
    const withKey: Interceptor = (next) => (request) => {
      request.header.set("authorization", `Bearer ${apiKey}`);
      return next(request);
    };
    sessions = new Http2SessionManager(baseUrl, {}, { ca: ca ?? "" });
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager: sessions,
      interceptors: [withKey],
      acceptCompression: [
        {
          ...compressionGzip,
          decompress: (bytes, most) => {
            decompressed += 1;
            return compressionGzip.decompress(bytes, most);
          },
        },
      ],
    });
    await fleet.make("one", "flood", { [floodLabel]: "100000000" });
    const logs = createClient(LogService, transport).streamLogs({ container: "flood", follow: true });
    let bytes = 0;
    for await (const { message } of logs) {
      if (message.case === "batch") {
        for (const { data } of message.value.records) bytes += data.byteLength;
      }
      if (bytes > 1_000_000) break;
    }
    assert.equal(decompressed, 0, "logs");
    for (const name of ["web", "db", "cache", "queue"]) await fleet.make("one", name, {});
    const events = createClient(EventService, transport).watchEvents({
      afterSequence: 0n,
      maxBatchSize: 256,
    });
    for await (const batch of events) {
      if (toBinary(WatchEventsResponseSchema, batch).byteLength > 1_024) break;
    }
    assert.equal(decompressed, 0, "events");
    const { containers } = await createClient(ContainerService, transport).listContainers({});
    assert.ok(containers.length > 20, "long enough to be compressed");
    assert.equal(decompressed, 1, "a list");
  });
});
