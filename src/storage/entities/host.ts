import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import type { HostFactsRecord } from "../records.ts";

/** A machine of the fleet. Its agent has a row of its own, made and deleted together with this one. */
export const HostEntity = defineEntity({
  name: "Host",
  tableName: "host",
  properties: {
    id: p.string().length(36).primary(),
    name: p.string().unique(),
    engineId: p.string().index(),
    facts: p.json().$type<HostFactsRecord>(),
    labels: p.json().$type<Readonly<Record<string, string>>>(),
    createTime: p.bigint("number"),
  },
});

/** A row of hosts. */
export type HostRow = InferEntity<typeof HostEntity>;
