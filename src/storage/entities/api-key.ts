import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import type { ApiKeyRole } from "../records.ts";

/** An API key. The secret itself is stored nowhere. */
export const ApiKeyEntity = defineEntity({
  name: "ApiKey",
  tableName: "api_key",
  indexes: [{ properties: ["createTime", "id"] }],
  properties: {
    id: p.string().length(36).primary(),
    secretHash: p.uint8array(),
    name: p.string().index(),
    description: p.text(),
    role: p.string().$type<ApiKeyRole>(),
    hostSelector: p.json().$type<readonly string[]>(),
    createdBy: p.string(),
    createTime: p.bigint("number"),
    expireTime: p.bigint("number").nullable(),
    lastUseTime: p.bigint("number").nullable(),
    revokeTime: p.bigint("number").nullable(),
  },
});

/** A row of API keys. */
export type ApiKeyRow = InferEntity<typeof ApiKeyEntity>;
