import type { CommandState } from "../domain/command-state.ts";

// Times are milliseconds since the epoch. What is undefined was never set.

/** A registration token. Of its secret only the hash is kept. */
export interface TokenRecord {
  readonly id: string;
  /** SHA-256 of the secret. */
  readonly secretHash: Uint8Array;
  readonly description: string;
  readonly createdBy: string;
  readonly createTime: number;
  readonly expireTime: number;
  readonly maxUses: number;
  readonly useCount: number;
  readonly revokeTime?: number | undefined;
  /** The host that it brings back; undefined: it makes new ones. */
  readonly hostId?: string | undefined;
  /** Who used it last. */
  readonly lastUse?: TokenUse | undefined;
}

/** Who enrolled with a token. */
export interface TokenUse {
  readonly hostId: string;
  readonly hostName: string;
  /** The machine's own name. */
  readonly hostname: string;
  readonly engineId: string;
  readonly address: string;
  readonly useTime: number;
}

/** An engine that may not be enrolled. */
export interface EngineBanRecord {
  readonly engineId: string;
  /** The name of the host that it was then. */
  readonly hostName: string;
  readonly bannedBy: string;
  readonly banTime: number;
}

/** What a key of the API may do: each all that the ones before it may. */
export type ApiKeyRole = "viewer" | "operator" | "admin";

/** A key of the API. Of its secret only the hash is kept. */
export interface ApiKeyRecord {
  readonly id: string;
  /** SHA-256 of the secret. */
  readonly secretHash: Uint8Array;
  /** Unique among the keys that are not revoked. */
  readonly name: string;
  readonly description: string;
  readonly role: ApiKeyRole;
  /** Each "key" or "key=value" of a host's labels, all of which a host must have. Empty: all hosts. */
  readonly hostSelector: readonly string[];
  readonly createdBy: string;
  readonly createTime: number;
  /** Undefined: it has no end. */
  readonly expireTime?: number | undefined;
  /** Up to a minute old. */
  readonly lastUseTime?: number | undefined;
  readonly revokeTime?: number | undefined;
}

/** What the owner of a host allows there, as its agent told last. */
export interface HostPolicyRecord {
  readonly readOnly: boolean;
  /** SHA-256 of the file in force, in hex. Empty: none is. */
  readonly digest: string;
  readonly summary: readonly string[];
  /** What is wrong with the file as it is now. */
  readonly problem: string;
}

/** What an agent reported of its host. Zero and the empty string: not known. */
export interface HostFactsRecord {
  readonly engineId: string;
  readonly hostname: string;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
  readonly architecture: string;
  readonly engineVersion: string;
  readonly engineApiVersion: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly simulated: boolean;
  /** Undefined: the host has none. */
  readonly policy?: HostPolicyRecord | undefined;
  /** The authorities that the agent trusts: SHA-256 of their public keys, in hex. Undefined: it has not said. */
  readonly authorities?: readonly string[] | undefined;
  /** The certificate that the agent was given last, or showed in its latest session. */
  readonly certificate?: HostCertificateRecord | undefined;
}

/** A certificate that an agent shows in its TLS connections. */
export interface HostCertificateRecord {
  readonly expireTime: number;
  /** Who signed it: SHA-256 of the authority's public key, base64url. */
  readonly authorityDigest: string;
}

/** A host together with its agent. */
export interface HostRecord {
  readonly id: string;
  /** Display name, unique in the fleet. */
  readonly name: string;
  /** The engine's id at enrolment, which a reconnection is compared with. */
  readonly engineId: string;
  readonly agentId: string;
  /** As of the latest session. */
  readonly facts: HostFactsRecord;
  readonly labels: Readonly<Record<string, string>>;
  readonly agentVersion: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The fencing number of the latest session; 0 before the first. */
  readonly sessionEpoch: number;
  readonly online: boolean;
  readonly createTime: number;
  /** When the latest session began. */
  readonly connectTime?: number | undefined;
  /** When the latest session began or ended. */
  readonly lastSeenTime?: number | undefined;
  /** The process that held the latest session, in hex. */
  readonly instanceId?: string | undefined;
  /** The journal that the agent had in the latest session, in hex. */
  readonly journalId?: string | undefined;
  /** The token that its agent was enrolled with. */
  readonly tokenId?: string | undefined;
  /** When its agent was enrolled; later than `createTime` for a host that was enrolled again. */
  readonly enrolTime?: number | undefined;
}

/** One step in the life of a command. */
export interface CommandTransition {
  readonly state: CommandState;
  readonly time: number;
  readonly attempt: number;
  readonly sessionEpoch: number;
}

/** One journaled command. It outlives its host. */
export interface CommandRecord {
  /** UUIDv7: sorts by time of creation. */
  readonly id: string;
  /** The name of its field in `Operation`, for example "stop_container". */
  readonly operation: string;
  readonly hostId: string;
  readonly hostName: string;
  readonly agentId: string;
  /** As the command names it: by its full id, or where that was not known by the caller's words. */
  readonly container: string;
  /** Its name when the command was created; where that was not known, the same as `container`. */
  readonly containerName: string;
  readonly caller: string;
  /** The API key that the caller had. */
  readonly callerKeyId?: string | undefined;
  /** Where the caller called from. */
  readonly callerAddress?: string | undefined;
  /** The caller's key for the request; empty where there was none. */
  readonly requestId: string;
  readonly requestDigest: Uint8Array;
  readonly state: CommandState;
  /** Why it failed; empty unless it did. */
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly changed: boolean;
  readonly attempt: number;
  readonly sessionEpoch: number;
  /** The agent's journal that it was sent to, in hex; empty before. */
  readonly journalId: string;
  readonly timeoutMs: number;
  /** Afterwards it must not be sent any more. */
  readonly expireTime: number;
  /** A caller no longer wants it. */
  readonly cancelRequested: boolean;
  readonly createTime: number;
  readonly dispatchTime?: number | undefined;
  readonly acceptTime?: number | undefined;
  readonly endTime?: number | undefined;
  /** Serialised `Operation`. */
  readonly payload: Uint8Array;
  /** Serialised `OperationOutcome`; empty unless it succeeded. */
  readonly outcome: Uint8Array;
  readonly transitions: readonly CommandTransition[];
}

/** A fact that has no sequence yet. Ids and names that do not apply are empty. */
export interface NewEvent {
  /** Number of an `EventType`. */
  readonly type: number;
  readonly eventTime: number;
  readonly recordTime: number;
  readonly hostId: string;
  readonly hostName: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly commandId: string;
  readonly actor: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A fact at its place in the log. */
export interface EventRecord extends NewEvent {
  /** Strictly growing, never used twice. */
  readonly sequence: number;
}
