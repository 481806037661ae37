import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { DescService } from "@bufbuild/protobuf";
import type { Client, Interceptor, Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { ControlPlaneConfig } from "../../../src/control-plane/config.ts";
import { ApiKeyService } from "../../../src/gen/fairlead/access/v1/api_key_service_pb.js";
import type { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import { type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";

/** Every protocol of the API, by name, with a key for each call. */
export const protocols: Readonly<Record<string, (baseUrl: string, key?: string) => Transport>> = {
  Connect: (baseUrl, key) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: presenting(key) }),
  gRPC: (baseUrl, key) => createGrpcTransport({ baseUrl, interceptors: presenting(key) }),
  "gRPC-Web": (baseUrl, key) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1", interceptors: presenting(key) }),
};

/** A control plane whose API asks for keys, for one test. */
export interface GuardedControlPlane extends AsyncDisposable {
  readonly plane: TestControlPlane;
  readonly baseUrl: string;
  /** The key of its key file. */
  readonly adminKey: string;
  /** A client that shows a key; without one, the admin's. */
  client<Service extends DescService>(service: Service, key?: string): Client<Service>;
  /** A new key. */
  newKey(name: string, role: Role, more?: { hostSelector?: string[]; lifetimeMs?: number }): Promise<string>;
}

/** Starts one. Its end (`await using`) fails when something is left. */
export async function guardedControlPlane(
  overrides: Partial<ControlPlaneConfig> = {},
): Promise<GuardedControlPlane> {
  const plane = await testControlPlane({ access: "keys", ...overrides });
  const baseUrl = () => {
    const { host, port } = plane.controlPlane.apiAddress;
    return `http://${host}:${port}`;
  };
  const adminKey = await keyOf(plane);
  const guarded: GuardedControlPlane = {
    plane,
    get baseUrl() {
      return baseUrl();
    },
    adminKey,
    client: (service, key = adminKey) =>
      createClient(service, (protocols["Connect"] ?? assert.fail())(baseUrl(), key)),
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

/** The key that a control plane wrote for its admin. */
export async function keyOf({ controlPlane }: TestControlPlane): Promise<string> {
  const file = controlPlane.keyFile ?? assert.fail("there is no key file");
  const { apiKey } = JSON.parse(await readFile(file, "utf8")) as { apiKey: string };
  return apiKey;
}

function presenting(key: string | undefined): Interceptor[] {
  if (key === undefined) return [];
  return [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${key}`);
      return next(request);
    },
  ];
}
