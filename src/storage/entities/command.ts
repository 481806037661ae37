import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import type { CommandState } from "../../domain/command-state.ts";
import type { CommandTransition } from "../records.ts";

/**
 * A journaled command. It names its host without a foreign key, because it outlives the host. Each index serves one
 * way of listing, newest id first, so that no listing walks through the whole journal.
 */
export const CommandEntity = defineEntity({
  name: "Command",
  tableName: "command",
  indexes: [
    { properties: ["caller", "requestId"] },
    { properties: ["hostId", "id"] },
    { properties: ["container", "id"] },
    { properties: ["containerName", "id"] },
    { properties: ["state", "id"] },
    { properties: ["endTime", "id"] },
  ],
  properties: {
    id: p.string().length(36).primary(),
    operation: p.string(),
    hostId: p.string().length(36),
    hostName: p.string(),
    agentId: p.string().length(36),
    container: p.string(),
    containerName: p.string(),
    caller: p.string(),
    callerKeyId: p.string().nullable(),
    callerAddress: p.string().nullable(),
    requestId: p.string(),
    requestDigest: p.uint8array(),
    state: p.string().length(16).$type<CommandState>(),
    reason: p.string(),
    message: p.text(),
    metadata: p.json().$type<Readonly<Record<string, string>>>(),
    changed: p.boolean(),
    attempt: p.integer(),
    sessionEpoch: p.integer(),
    journalId: p.string(),
    timeoutMs: p.bigint("number"),
    expireTime: p.bigint("number"),
    cancelRequested: p.boolean(),
    createTime: p.bigint("number"),
    dispatchTime: p.bigint("number").nullable(),
    acceptTime: p.bigint("number").nullable(),
    endTime: p.bigint("number").nullable(),
    transitions: p.json().$type<readonly CommandTransition[]>(),
    payload: p.uint8array(),
    outcome: p.uint8array(),
  },
});

/** A row of commands. */
export type CommandRow = InferEntity<typeof CommandEntity>;
