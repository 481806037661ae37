import { getOption } from "@bufbuild/protobuf";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { FleetError } from "../domain/errors.ts";
import { required_role, Role } from "../gen/fairlead/access/v1/role_pb.js";
import { callerKey, peerAddressKey } from "./caller.ts";
import type { Authenticate, Caller } from "./caller.ts";
import { answerUntil } from "./endable-stream.ts";

// These schemas are not ours, so they cannot state a role themselves.
const rolesOfForeignServices: ReadonlyMap<string, Role> = new Map([
  ["grpc.health.v1.Health", Role.PUBLIC],
  ["grpc.reflection.v1.ServerReflection", Role.VIEWER],
  ["grpc.reflection.v1alpha.ServerReflection", Role.VIEWER],
]);

/** What a call to a public RPC is made by. */
const anyone: Caller = { name: "anyone", role: Role.PUBLIC };

/** The least role that may call an RPC. `UNSPECIFIED` when its schema states none: then nobody may. */
export function requiredRole(method: DescMethod): Role {
  return rolesOfForeignServices.get(method.parent.typeName) ?? getOption(method, required_role);
}

/**
 * Finds out who calls, keeps it under `callerKey`, and refuses whoever has less than the RPC's role with
 * `PERMISSION_DENIED`. A public RPC is open without asking. An RPC without a role refuses everybody. A stream ends when
 * its caller may no longer call; a call with one answer is left to finish.
 */
export function createRoleInterceptor(authenticate: Authenticate): Interceptor {
  return (next) => async (request) => {
    const required = requiredRole(request.method);
    const address = request.contextValues.get(peerAddressKey);
    const caller = required === Role.PUBLIC ? anyone : await authenticate(request.header, address);
    request.contextValues.set(callerKey, caller);
    const rpc = `${request.service.typeName}/${request.method.name}`;
    if (required === Role.UNSPECIFIED) {
      throw new FleetError("PERMISSION_DENIED", `${rpc} states no role, so that nobody may call it`);
    }
    if (caller.role < required) {
      throw new FleetError("PERMISSION_DENIED", `${rpc} needs the role ${nameOf(required)}`, {
        metadata: { required_role: nameOf(required), role: nameOf(caller.role) },
      });
    }
    return request.stream && caller.onEnd !== undefined
      ? answerUntil(request, next, (end) => caller.onEnd?.(end))
      : next(request);
  };
}

function nameOf(role: Role): string {
  return (Role[role] ?? "unknown").toLowerCase();
}
