import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { type ApiKey, ApiKeySchema, ApiKeyState } from "../../gen/fairlead/access/v1/api_key_pb.js";
import {
  type ApiKeyService,
  type CreateApiKeyRequest,
  type ListApiKeysRequest,
  ListApiKeysRequestSchema,
} from "../../gen/fairlead/access/v1/api_key_service_pb.js";
import { Role } from "../../gen/fairlead/access/v1/role_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { ApiKeyRecord, ApiKeyRole } from "../../storage/records.ts";
import type { ApiKeys, NewApiKey } from "../access/api-keys.ts";
import { actorOf, requireWholeFleet } from "./calling.ts";
import { msOrUnset } from "./durations.ts";
import { readPage } from "./page.ts";
import { timestampOrUnset } from "./timestamps.ts";

/** What the API key service needs. */
export interface ApiKeyServiceParts {
  readonly keys: Pick<ApiKeys, "create" | "list" | "revoke">;
  readonly clock: Clock;
}

/** Keeps the keys of the API. */
export function createApiKeyService(parts: ApiKeyServiceParts): ServiceImpl<typeof ApiKeyService> {
  const { keys, clock } = parts;
  return {
    async createApiKey(request, { values }) {
      requireWholeFleet(values);
      const { record, key } = await keys.create(newKey(request), actorOf(values));
      return { apiKey: keyMessage(record, clock.now()), key };
    },
    listApiKeys(request, { values }) {
      requireWholeFleet(values);
      return listKeys(parts, request);
    },
    async revokeApiKey({ key }, { values }) {
      requireWholeFleet(values);
      return { apiKey: keyMessage(await keys.revoke(key, actorOf(values)), clock.now()) };
    },
  };
}

async function listKeys({ keys, clock }: ApiKeyServiceParts, request: ListApiKeysRequest) {
  const page = await readPage<
    typeof ListApiKeysRequestSchema,
    ApiKeyRecord,
    { createTime: number; id: string }
  >(ListApiKeysRequestSchema, request, {
    fields: { createTime: "number", id: "string" },
    position: ({ createTime, id }) => ({ createTime, id }),
    read: (before, limit) => keys.list(before, limit),
  });
  const now = clock.now();
  return { apiKeys: page.items.map((record) => keyMessage(record, now)), nextPageToken: page.nextPageToken };
}

function newKey(request: CreateApiKeyRequest): NewApiKey {
  const { name, description, role, hostSelector, lifetime, neverExpires } = request;
  return {
    name,
    description,
    role: wordOfRole(role),
    hostSelector,
    lifetimeMs: neverExpires ? Number.POSITIVE_INFINITY : msOrUnset(lifetime),
  };
}

// The schema lets no other role through.
function wordOfRole(role: Role): ApiKeyRole {
  if (role === Role.ADMIN) return "admin";
  return role === Role.OPERATOR ? "operator" : "viewer";
}

const roleOfWord: Record<ApiKeyRole, Role> = {
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};

function keyMessage(record: ApiKeyRecord, now: number): ApiKey {
  return create(ApiKeySchema, {
    id: record.id,
    name: record.name,
    description: record.description,
    role: roleOfWord[record.role],
    hostSelector: [...record.hostSelector],
    createdBy: record.createdBy,
    createTime: timestampFromMs(record.createTime),
    expireTime: timestampOrUnset(record.expireTime),
    lastUseTime: timestampOrUnset(record.lastUseTime),
    revokeTime: timestampOrUnset(record.revokeTime),
    state: stateOf(record, now),
  });
}

// What a person did outlasts what time did: a key that was revoked stays revoked after its end.
function stateOf({ revokeTime, expireTime }: ApiKeyRecord, now: number): ApiKeyState {
  if (revokeTime !== undefined) {
    return ApiKeyState.REVOKED;
  }
  return expireTime !== undefined && expireTime <= now ? ApiKeyState.EXPIRED : ApiKeyState.ACTIVE;
}
