import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { ApiKeyService } from "../../../src/gen/fairlead/access/v1/api_key_service_pb.js";
import { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import { EventService } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { fleetErrorFrom } from "../../../src/rpc/connect-error.ts";
import { protocols } from "../../support/api-place.ts";
import { type GuardedControlPlane, guardedControlPlane } from "./guarded-control-plane.ts";

/** Follows events. Resolves once the stream is open, to a promise of the reason it ends for. */
async function follow(api: GuardedControlPlane, key: string, protocol: string) {
  const transport = protocols[protocol]?.(api, key) ?? assert.fail();
  const stream = createClient(EventService, transport).watchEvents({})[Symbol.asyncIterator]();
  await stream.next();
  const end = (async () => {
    try {
      for (let item = await stream.next(); item.done !== true; item = await stream.next());
      return "the end";
    } catch (error) {
      return fleetErrorFrom(error).reason;
    }
  })();
  return { end };
}

describe("streams of callers that may no longer call", function () {
  this.timeout(30_000);

  it("V04 end within seconds when their key is revoked, on every protocol, and others go on", async () => {
    await using api = await guardedControlPlane();
    const key = await api.newKey("watcher", Role.VIEWER);
    const streams = await Promise.all(Object.keys(protocols).map((name) => follow(api, key, name)));
    const other = await follow(api, await api.newKey("other", Role.VIEWER), "Connect");
    await api.client(ApiKeyService).revokeApiKey({ key: "watcher" });
    const ends = await Promise.race([Promise.all(streams.map(({ end }) => end)), delay(3_000, "late")]);
    assert.deepEqual(ends, ["UNAUTHENTICATED", "UNAUTHENTICATED", "UNAUTHENTICATED"]);
    assert.equal(await Promise.race([other.end, delay(200, "goes on")]), "goes on");
  });

  it("V04 end within seconds when their key expires", async () => {
    await using api = await guardedControlPlane();
    const key = await api.newKey("watcher", Role.VIEWER, { lifetimeMs: 2_000 });
    const { end } = await follow(api, key, "gRPC");
    assert.equal(await Promise.race([end, delay(700, "goes on")]), "goes on");
    assert.equal(await Promise.race([end, delay(4_000, "late")]), "UNAUTHENTICATED");
    const error = await api
      .client(HostService, key)
      .listHosts({})
      .catch((reason: unknown) => fleetErrorFrom(reason).reason);
    assert.equal(error, "UNAUTHENTICATED");
  });
});
