import type { AgentRow } from "./entities/agent.ts";
import type { ApiKeyRow } from "./entities/api-key.ts";
import type { CommandRow } from "./entities/command.ts";
import type { HostRow } from "./entities/host.ts";
import type { RegistrationTokenRow } from "./entities/registration-token.ts";
import type { ApiKeyRecord, CommandRecord, HostRecord, TokenRecord } from "./records.ts";

/** A host from its agent's row, with the host's row loaded. */
export function hostFromRow(row: Omit<AgentRow, "host"> & { readonly host: HostRow }): HostRecord {
  const { host } = row;
  return {
    id: host.id,
    name: host.name,
    engineId: host.engineId,
    agentId: row.id,
    facts: host.facts,
    labels: host.labels,
    agentVersion: row.version,
    publicKey: row.publicKey,
    sessionEpoch: row.sessionEpoch,
    online: row.online,
    createTime: host.createTime,
    ...present("connectTime", row.connectTime),
    ...present("lastSeenTime", row.lastSeenTime),
    ...present("instanceId", row.instanceId),
    ...present("journalId", row.journalId),
    ...present("tokenId", row.tokenId),
    ...present("enrolTime", row.enrolTime),
  };
}

/** A token from its row. */
export function tokenFromRow(row: RegistrationTokenRow): TokenRecord {
  return {
    id: row.id,
    secretHash: row.secretHash,
    description: row.description,
    createdBy: row.createdBy,
    createTime: row.createTime,
    expireTime: row.expireTime,
    maxUses: row.maxUses,
    useCount: row.useCount,
    ...present("revokeTime", row.revokeTime),
    ...present("hostId", row.hostId),
    ...present("lastUse", row.lastUse),
  };
}

/** An API key from its row. */
export function apiKeyFromRow(row: ApiKeyRow): ApiKeyRecord {
  return {
    id: row.id,
    secretHash: row.secretHash,
    name: row.name,
    description: row.description,
    role: row.role,
    hostSelector: row.hostSelector,
    createdBy: row.createdBy,
    createTime: row.createTime,
    ...present("expireTime", row.expireTime),
    ...present("lastUseTime", row.lastUseTime),
    ...present("revokeTime", row.revokeTime),
  };
}

/** A command from its row. */
export function commandFromRow(row: CommandRow): CommandRecord {
  return {
    id: row.id,
    operation: row.operation,
    hostId: row.hostId,
    hostName: row.hostName,
    agentId: row.agentId,
    container: row.container,
    containerName: row.containerName,
    caller: row.caller,
    ...present("callerKeyId", row.callerKeyId),
    ...present("callerAddress", row.callerAddress),
    requestId: row.requestId,
    requestDigest: row.requestDigest,
    state: row.state,
    reason: row.reason,
    message: row.message,
    metadata: row.metadata,
    changed: row.changed,
    attempt: row.attempt,
    sessionEpoch: row.sessionEpoch,
    journalId: row.journalId,
    timeoutMs: row.timeoutMs,
    expireTime: row.expireTime,
    cancelRequested: row.cancelRequested,
    createTime: row.createTime,
    ...present("dispatchTime", row.dispatchTime),
    ...present("acceptTime", row.acceptTime),
    ...present("endTime", row.endTime),
    payload: row.payload,
    outcome: row.outcome,
    transitions: row.transitions,
  };
}

/** A member only where there is a value, so that records of equal content are equal. */
function present<Key extends string, Value>(
  key: Key,
  value: Value | null | undefined,
): { readonly [K in Key]?: Value } {
  return value === undefined || value === null ? {} : ({ [key]: value } as { readonly [K in Key]?: Value });
}
