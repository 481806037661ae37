import assert from "node:assert/strict";
import type { DescMethod, DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { AgentService } from "../../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import { requiredRole } from "../../../src/rpc/required-role.ts";
import { protocols } from "../../support/api-place.ts";
import { apiServices } from "../../support/schema-services.ts";
import { guardedControlPlane } from "./guarded-control-plane.ts";

const roles = [Role.VIEWER, Role.OPERATOR, Role.ADMIN] as const;

/** How a call with an empty request ends: the code, or "OK". A stream counts with its first message. */
async function endOf(transport: Transport, method: DescMethod): Promise<string> {
  try {
    if (method.methodKind === "unary") {
      await transport.unary(method as DescMethodUnary, undefined, 5_000, undefined, {});
      return "OK";
    }
    const hangUp = new AbortController();
    const requests = (async function* () {
      yield {};
    })();
    const response = await transport.stream(
      method as DescMethodStreaming,
      hangUp.signal,
      5_000,
      undefined,
      requests,
    );
    for await (const _first of response.message) {
      hangUp.abort();
      break;
    }
    return "OK";
  } catch (error) {
    return Code[ConnectError.from(error).code] ?? "";
  }
}

describe("roles of the API", function () {
  this.timeout(60_000);

  it("V05 every RPC states a role in the schema, and what changes something is not for viewers", async () => {
    const methods = (await apiServices()).flatMap((service) => service.methods);
    assert.ok(methods.length >= 30);
    for (const method of methods) {
      const role = requiredRole(method);
      assert.ok(role >= Role.VIEWER, `${method.parent.typeName}/${method.name} states ${Role[role]}`);
      const reads = /^(List|Get|Watch|Wait|Inspect|Stream)/.test(method.name);
      assert.ok(reads || role >= Role.OPERATOR, `${method.name} is for ${Role[role]}`);
    }
    assert.equal(requiredRole(AgentService.method.agentStream), Role.UNSPECIFIED);
  });

  for (const [name, transport] of Object.entries(protocols)) {
    it(`V05 each RPC lets in the roles that may, and no others, over ${name}`, async () => {
      await using guarded = await guardedControlPlane();
      const keys = new Map<Role, string>();
      for (const role of roles) keys.set(role, await guarded.newKey(`a-${role}`, role));
      for (const service of await apiServices()) {
        for (const method of service.methods) {
          for (const role of roles) {
            const end = await endOf(transport(guarded, keys.get(role)), method);
            const label = `${method.name} by ${Role[role]}: ${end}`;
            assert.equal(end === "PermissionDenied", role < requiredRole(method), label);
            // It is there, and the key is good.
            assert.ok(end !== "Unauthenticated" && end !== "Unimplemented" && end !== "Internal", label);
          }
          const stranger = await endOf(transport(guarded), method);
          assert.equal(stranger, "Unauthenticated", `${method.name} by a stranger`);
        }
      }
    });
  }
});
