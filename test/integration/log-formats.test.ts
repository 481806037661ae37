import assert from "node:assert/strict";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { LogService } from "../../src/gen/fairlead/container/v1/log_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { keyFileOf, presenting } from "../support/api-place.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { Fleet } from "../support/fleet.ts";

const transports = { createConnectTransport, createGrpcTransport, createGrpcWebTransport };

describe("logs in every protocol and format", function () {
  this.timeout(60_000);
  let fleet: Fleet;
  let engine: SimulatedEngine;

  beforeEach(async () => {
    engine = new SimulatedEngine({ clock: systemClock });
    fleet = await Fleet.start();
    await fleet.enrol("one", engine);
  });
  afterEach(async () => {
    await fleet[Symbol.asyncDispose]();
    await engine.close();
  });

  it("O11 O12 tells the same in binary and in JSON, over Connect, gRPC and gRPC-Web", async () => {
    const command = ["sh", "-c", "echo one; echo two >&2; printf '\\342\\202\\n'; sleep 600"];
    await fleet.make("one", "spoken", {}, { command });
    const { server: baseUrl, ca = "", apiKey } = keyFileOf(fleet.plane.controlPlane.keyFile ?? "");
    const common = {
      baseUrl,
      httpVersion: "1.1" as const,
      nodeOptions: { ca },
      interceptors: [presenting(apiKey)],
    };
    const wanted = await eventually(async () => {
      const told = await readBy(createConnectTransport({ ...common, useBinaryFormat: true }));
      return told.length === 4 ? told : undefined;
    }, "three records");
    assert.deepEqual(wanted.at(-1)?.at(-1), "\u00e2\u0082\n", "half a character");
    for (const [name, create] of Object.entries(transports)) {
      for (const useBinaryFormat of [true, false]) {
        assert.deepEqual(
          await readBy(create({ ...common, useBinaryFormat })),
          wanted,
          `${name}, ${useBinaryFormat ? "binary" : "JSON"}`,
        );
      }
    }
  });
});

async function readBy(transport: Transport) {
  const told: unknown[][] = [];
  for await (const { message } of createClient(LogService, transport).streamLogs({ container: "spoken" })) {
    if (message.case !== "batch") continue;
    const { records, cursor, source } = message.value;
    told.push([source?.containerName, cursor]);
    told.push(...records.map(({ stream, time, data }) => [stream, time?.seconds, time?.nanos, text(data)]));
  }
  return told;
}

function text(data: Uint8Array): string {
  return Buffer.from(data).toString("latin1");
}
