import assert from "node:assert/strict";
import { FleetError } from "../../src/domain/errors.ts";
import { Role } from "../../src/gen/fairlead/access/v1/role_pb.js";
import { AgentService } from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1/reflection_pb.js";
import type { Caller } from "../../src/rpc/caller.ts";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { requiredRole } from "../../src/rpc/required-role.ts";
import { closeApis, startApi } from "./api-harness.ts";
import { clientOf, rejection, transports } from "./callers.ts";

const grpcTo = transports["gRPC over HTTP/2"] ?? assert.fail();

describe("roles", () => {
  afterEach(closeApis);

  let caller: Caller = { name: "test", role: Role.ADMIN };
  let deleted = 0;
  const start = async () => {
    deleted = 0;
    const hosts = {
      getHost: () => ({}),
      deleteHost() {
        deleted += 1;
        return {};
      },
    };
    const api = await startApi(
      {},
      {
        authenticate(headers) {
          if (headers.has("authorization")) throw new FleetError("UNAUTHENTICATED", "unknown key");
          return caller;
        },
        routes(router) {
          router.service(HostService, hosts);
          router.service(AgentService, {
            async *agentStream() {
              yield {};
            },
          });
        },
      },
    );
    return { api, hosts: clientOf(HostService, grpcTo(api.url)) };
  };

  it("V05 lets each role do what it may, and refuses more", async () => {
    const { hosts } = await start();
    for (const [role, mayRead, mayDelete] of [
      [Role.ADMIN, true, true],
      [Role.OPERATOR, true, false],
      [Role.VIEWER, true, false],
      [Role.PUBLIC, false, false],
      [Role.UNSPECIFIED, false, false],
    ] as const) {
      caller = { name: "test", role };
      for (const [may, call] of [
        [mayRead, () => hosts.getHost({ host: "a" })],
        [mayDelete, () => hosts.deleteHost({ host: "a" })],
      ] as const) {
        if (may) await call();
        else assert.equal(fleetErrorFrom(await rejection(call())).reason, "PERMISSION_DENIED");
      }
    }
    assert.equal(deleted, 1);
  });

  it("V05 refuses everybody an RPC that states no role", async () => {
    caller = { name: "test", role: Role.ADMIN };
    const { api } = await start();
    assert.equal(requiredRole(AgentService.method.agentStream), Role.UNSPECIFIED);
    const stream = clientOf(AgentService, grpcTo(api.url)).agentStream((async function* () {})());
    const error = fleetErrorFrom(await rejection(stream[Symbol.asyncIterator]().next()));
    assert.equal(error.reason, "PERMISSION_DENIED");
    assert.match(error.message, /states no role/);
  });

  it("refuses who is not known, before anything else is looked at, but answers health to anyone", async () => {
    const { api, hosts } = await start();
    const headers = { authorization: "wrong" };
    const error = fleetErrorFrom(await rejection(hosts.getHost({ host: "" }, { headers })));
    assert.equal(error.reason, "UNAUTHENTICATED");
    await clientOf(Health, grpcTo(api.url)).check({}, { headers });
  });

  it("V05 every RPC of the API states a role", () => {
    for (const method of [...HostService.methods, ...Health.methods, ...ServerReflection.methods]) {
      assert.notEqual(requiredRole(method), Role.UNSPECIFIED, method.name);
    }
  });
});
