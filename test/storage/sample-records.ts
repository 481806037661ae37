import { createHash } from "node:crypto";
import type { CommandRecord, HostFactsRecord, NewEvent, TokenRecord } from "../../src/storage/records.ts";
import type { Enrolment, SessionStart } from "../../src/storage/fleet-repository.ts";

/** A moment from which the tests count. */
export const now = Date.UTC(2026, 0, 1);

/** What an ordinary host reports. */
export const facts: HostFactsRecord = {
  engineId: "engine-1",
  hostname: "web",
  operatingSystem: "Debian GNU/Linux 12",
  kernelVersion: "6.1.0",
  architecture: "x86_64",
  engineVersion: "28.0.0",
  engineApiVersion: "1.48",
  cpuCount: 4,
  memoryBytes: 8 * 2 ** 30,
  simulated: false,
};

/** The hash of a secret. */
export function hashOf(secret: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(secret).digest());
}

/** A single-use token whose secret is its id. */
export function tokenRecord(id: string, changes: Partial<TokenRecord> = {}): TokenRecord {
  return {
    id,
    secretHash: hashOf(id),
    description: "for a rack",
    createdBy: "somebody",
    createTime: now,
    expireTime: now + 900_000,
    maxUses: 1,
    useCount: 0,
    ...changes,
  };
}

/** A host that wants to be enrolled with the token of this id; its own ids are made of `key`. */
export function enrolment(tokenId: string, key: string, changes: Partial<Enrolment> = {}): Enrolment {
  return {
    secretHash: hashOf(tokenId),
    now,
    host: { id: `host-${key}`, name: `web-${key}`, engineId: `engine-${key}`, facts, agentVersion: "1.0.0" },
    // A key of its own for each: one that comes again with the same token is given what it got before.
    agent: { id: `agent-${key}`, publicKey: hashOf(`key-${key}`) },
    address: "192.0.2.1:1",
    uniqueByName: false,
    nameWanted: false,
    events: ({ host }) => [newEvent({ type: 6, hostId: host.id, hostName: host.name })],
    ...changes,
  };
}

/** What an agent says when its session begins. */
export function sessionStart(changes: Partial<SessionStart> = {}): SessionStart {
  return { now, facts, agentVersion: "1.0.1", instanceId: "aa", journalId: "bb", ...changes };
}

/** A command of this number that waits. */
export function commandRecord(number: number, changes: Partial<CommandRecord> = {}): CommandRecord {
  return {
    id: commandId(number),
    operation: "stop_container",
    hostId: "host-1",
    hostName: "web-1",
    agentId: "agent-1",
    container: "nginx",
    containerName: "nginx",
    caller: "local",
    requestId: "",
    requestDigest: new Uint8Array([1, 2, 3]),
    state: "PENDING",
    reason: "",
    message: "",
    metadata: {},
    changed: false,
    attempt: 0,
    sessionEpoch: 0,
    journalId: "",
    timeoutMs: 30_000,
    expireTime: now + 30_000,
    cancelRequested: false,
    createTime: now + number,
    payload: new Uint8Array([4, 5]),
    outcome: new Uint8Array(),
    transitions: [{ state: "PENDING", time: now + number, attempt: 0, sessionEpoch: 0 }],
    ...changes,
  };
}

/** The id of a command of this number; ids sort as numbers do. */
export function commandId(number: number): string {
  return `0197aaaa-0000-7000-8000-${`${number}`.padStart(12, "0")}`;
}

/** An event of which only the given members matter. */
export function newEvent(changes: Partial<NewEvent> = {}): NewEvent {
  return {
    type: 1,
    eventTime: now,
    recordTime: now,
    hostId: "",
    hostName: "",
    containerId: "",
    containerName: "",
    commandId: "",
    actor: "",
    attributes: {},
    ...changes,
  };
}
