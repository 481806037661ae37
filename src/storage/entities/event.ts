import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** A fact. Its sequence is given by the database and never used again, also after the row is gone. */
export const EventEntity = defineEntity({
  name: "Event",
  tableName: "event",
  indexes: [
    { properties: ["type", "sequence"] },
    { properties: ["hostId", "sequence"] },
    { properties: ["containerId", "sequence"] },
    { properties: ["containerName", "sequence"] },
    { properties: ["commandId", "sequence"] },
  ],
  properties: {
    // "integer" is the only type that SQLite counts up by itself; it has 64 bits.
    sequence: p.bigint("number").columnType("integer").primary().autoincrement(),
    type: p.integer(),
    eventTime: p.bigint("number"),
    recordTime: p.bigint("number"),
    hostId: p.string().length(36),
    hostName: p.string(),
    containerId: p.string(),
    containerName: p.string(),
    commandId: p.string().length(36),
    actor: p.string(),
    attributes: p.json().$type<Readonly<Record<string, string>>>(),
  },
});

/** A row of events. */
export type EventRow = InferEntity<typeof EventEntity>;
