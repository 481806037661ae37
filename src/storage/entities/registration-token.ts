import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import type { TokenUse } from "../records.ts";

/** A registration token. The secret itself is stored nowhere. */
export const RegistrationTokenEntity = defineEntity({
  name: "RegistrationToken",
  tableName: "registration_token",
  indexes: [{ properties: ["createTime", "id"] }],
  properties: {
    id: p.string().length(36).primary(),
    secretHash: p.uint8array().unique(),
    description: p.text(),
    createdBy: p.string(),
    createTime: p.bigint("number"),
    expireTime: p.bigint("number"),
    maxUses: p.integer(),
    useCount: p.integer(),
    revokeTime: p.bigint("number").nullable(),
    hostId: p.string().nullable(),
    lastUse: p.json().$type<TokenUse>().nullable(),
  },
});

/** A row of registration tokens. */
export type RegistrationTokenRow = InferEntity<typeof RegistrationTokenEntity>;
