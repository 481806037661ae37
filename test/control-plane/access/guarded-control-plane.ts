import assert from "node:assert/strict";
import type { ControlPlaneConfig } from "../../../src/control-plane/config.ts";
import { ApiKeyService } from "../../../src/gen/fairlead/access/v1/api_key_service_pb.js";
import type { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import type { ApiPlace } from "../../support/api-place.ts";
import { type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";

/** A control plane for tests of its keys. */
export interface GuardedControlPlane extends AsyncDisposable, ApiPlace, Pick<TestControlPlane, "client"> {
  readonly plane: TestControlPlane;
  /** The key of its key file when it began. */
  readonly adminKey: string;
  /** A new key. */
  newKey(name: string, role: Role, more?: { hostSelector?: string[]; lifetimeMs?: number }): Promise<string>;
}

/** Starts one. Its end (`await using`) fails when something is left. */
export async function guardedControlPlane(
  overrides: Partial<ControlPlaneConfig> = {},
): Promise<GuardedControlPlane> {
  const plane = await testControlPlane(overrides);
  const adminKey = plane.adminKey ?? assert.fail("there is no key file");
  const guarded: GuardedControlPlane = {
    plane,
    get baseUrl() {
      return plane.baseUrl;
    },
    get ca() {
      return plane.ca;
    },
    adminKey,
    client: (service, key = adminKey) => plane.client(service, key),
    async newKey(name, role, { hostSelector = [], lifetimeMs } = {}) {
      const lifetime =
        lifetimeMs === undefined ? {} : { lifetime: { seconds: BigInt(Math.ceil(lifetimeMs / 1_000)) } };
      const created = await guarded
        .client(ApiKeyService)
        .createApiKey({ name, role, hostSelector, ...lifetime });
      return created.key;
    },
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
  return guarded;
}
