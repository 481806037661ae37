import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { HostEntity } from "./host.ts";

/** The agent of a host: its identity, and what is known of its latest session. */
export const AgentEntity = defineEntity({
  name: "Agent",
  tableName: "agent",
  properties: {
    id: p.string().length(36).primary(),
    host: () => p.oneToOne(HostEntity).deleteRule("cascade").updateRule("no action"),
    publicKey: p.uint8array().index(),
    version: p.string(),
    sessionEpoch: p.integer(),
    online: p.boolean(),
    connectTime: p.bigint("number").nullable(),
    lastSeenTime: p.bigint("number").nullable(),
    instanceId: p.string().nullable(),
    journalId: p.string().nullable(),
    tokenId: p.string().nullable(),
    enrolTime: p.bigint("number").nullable(),
  },
});

/** A row of agents. */
export type AgentRow = InferEntity<typeof AgentEntity>;
