import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** An engine that may not be enrolled. It outlives the host that it was. */
export const EngineBanEntity = defineEntity({
  name: "EngineBan",
  tableName: "engine_ban",
  properties: {
    engineId: p.string().primary(),
    hostName: p.string(),
    bannedBy: p.string(),
    banTime: p.bigint("number"),
  },
});

/** A row of bans. */
export type EngineBanRow = InferEntity<typeof EngineBanEntity>;
