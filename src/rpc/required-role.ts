import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { FleetError } from "../domain/errors.ts";
import { required_role, Role } from "../gen/fairlead/access/v1/role_pb.js";
import type { Caller } from "./caller.ts";

// These schemas are not ours, so they cannot state a role themselves.
const rolesOfForeignServices: ReadonlyMap<string, Role> = new Map([
  ["grpc.health.v1.Health", Role.PUBLIC],
  ["grpc.reflection.v1.ServerReflection", Role.VIEWER],
  ["grpc.reflection.v1alpha.ServerReflection", Role.VIEWER],
]);

/** The least role that may call an RPC. `UNSPECIFIED` when its schema states none: then nobody may. */
export function requiredRole(method: DescMethod): Role {
  return rolesOfForeignServices.get(method.parent.typeName) ?? getOption(method, required_role);
}

/** Throws PERMISSION_DENIED for a caller with less than the RPC's role. An RPC without a role refuses everybody. */
export function checkRole(method: DescMethod, caller: Caller): void {
  const required = requiredRole(method);
  const rpc = `${method.parent.typeName}/${method.name}`;
  if (required === Role.UNSPECIFIED) {
    throw new FleetError("PERMISSION_DENIED", `${rpc} states no role, so that nobody may call it`);
  }
  if (caller.role < required) {
    throw new FleetError("PERMISSION_DENIED", `${rpc} needs the role ${nameOf(required)}`, {
      metadata: { required_role: nameOf(required), role: nameOf(caller.role) },
    });
  }
}

function nameOf(role: Role): string {
  return (Role[role] ?? "unknown").toLowerCase();
}
