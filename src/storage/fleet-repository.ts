import type {
  EngineBanRecord,
  HostFactsRecord,
  HostCertificateRecord,
  HostPolicyRecord,
  HostRecord,
  NewEvent,
  TokenRecord,
} from "./records.ts";

/** A host and an agent that want to be enrolled with a registration token. */
export interface Enrolment {
  /** SHA-256 of the token's secret. */
  readonly secretHash: Uint8Array;
  readonly now: number;
  readonly host: {
    readonly id: string;
    readonly name: string;
    readonly engineId: string;
    readonly facts: HostFactsRecord;
    readonly agentVersion: string;
  };
  readonly agent: { readonly id: string; readonly publicKey: Uint8Array };
  /** Where it calls from. */
  readonly address: string;
  /** The engine id may be known already, the name must be free. */
  readonly uniqueByName: boolean;
  /** A person chose the name; it is not only the machine's own. */
  readonly nameWanted: boolean;
  /** Makes the events that are stored in the same transaction. */
  events(enrolled: EnrolledHost): readonly NewEvent[];
}

/** A host that was enrolled, and the token after its use. */
export interface EnrolledHost {
  readonly host: HostRecord;
  readonly token: TokenRecord;
  /**
   * "new": host and agent were created. "repeated": the same key enrolled with this token before, and nothing was changed.
   * "returned": the host that the token was made for has a new agent.
   */
  readonly manner: "new" | "repeated" | "returned";
  /** The host with the agent that it had before, for "returned". */
  readonly previous?: HostRecord | undefined;
}

/** Why an enrolment was refused. */
export type EnrolmentRefusal =
  | "UNKNOWN"
  | "EXPIRED"
  | "USED_UP"
  | "REVOKED"
  | "HOST_GONE"
  | "ENGINE_KNOWN"
  | "ENGINE_BANNED"
  | "NAME_IN_USE"
  | "NAME_REQUIRED";

/** How an enrolment ended. A refused one has changed nothing. */
export type EnrolmentResult =
  | ({ readonly kind: "enrolled" } & EnrolledHost)
  | {
      readonly kind: "refused";
      readonly cause: EnrolmentRefusal;
      /** The token, unless it is unknown. */
      readonly token?: TokenRecord | undefined;
      /** The host that has the engine id or the name already. */
      readonly existing?: HostRecord | undefined;
    };

/** What is remembered of a session when it begins. */
export interface SessionStart {
  readonly now: number;
  readonly facts: HostFactsRecord;
  readonly agentVersion: string;
  /** In hex. */
  readonly instanceId: string;
  /** In hex. */
  readonly journalId: string;
  /** The epoch is at least this. */
  readonly minEpoch?: number | undefined;
}

/** What of a host is to be another; what is undefined stays. */
export interface HostChange {
  readonly name?: string | undefined;
  /** All of them. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** How a change of a host ended. One that was refused has changed nothing. */
export type HostUpdate =
  | { readonly kind: "updated"; readonly host: HostRecord }
  | { readonly kind: "refused"; readonly cause: "UNKNOWN" | "NAME_IN_USE" };

/** Hosts and their agents. */
export interface FleetRepository {
  /**
   * Counts one use of the token and inserts host, agent and events, all in one transaction, or changes nothing. A
   * display name in use gets the suffix "-2", "-3" and so on, unless `uniqueByName` is set. A token made for a host gives
   * that host a new agent in place of the one that it had. A key that enrolled with this token already is given what it
   * got then, and no use is counted: as long as the token lives, and a day longer, unless it was revoked.
   */
  enrol(enrolment: Enrolment): Promise<EnrolmentResult>;
  /** The host of an agent. */
  agent(agentId: string): Promise<HostRecord | undefined>;
  /**
   * Raises the agent's epoch and marks it online; committed when it resolves, all of one tick together. Undefined
   * when there is no such agent (any more).
   */
  beginSession(
    agentId: string,
    start: SessionStart,
  ): Promise<{ readonly epoch: number; readonly host: HostRecord } | undefined>;
  /** Marks the agent offline if `epoch` is still its current one; tells whether it did. */
  endSession(agentId: string, epoch: number, now: number): Promise<boolean>;
  /** Keeps what a host's policy is since its session with this epoch began. False: that session does not count any more. */
  keepPolicy(agentId: string, epoch: number, policy: HostPolicyRecord): Promise<boolean>;
  /** Keeps which authorities a host's agent trusts, by their digests in hex, in the same way. */
  keepAuthorities(agentId: string, epoch: number, authorities: readonly string[]): Promise<boolean>;
  /** Keeps which certificate a host's agent was given, in the same way. */
  keepCertificate(agentId: string, epoch: number, certificate: HostCertificateRecord): Promise<boolean>;
  /** Marks every agent offline, for a control plane that begins. */
  markAllOffline(): Promise<void>;
  /** A page of hosts by name, then id, beginning after the given one. */
  list(
    after: { readonly name: string; readonly id: string } | undefined,
    limit: number,
  ): Promise<HostRecord[]>;
  /** All hosts by name, then id. */
  all(): Promise<HostRecord[]>;
  /** A host by its id or, where no id is like that, by its name. */
  find(idOrName: string): Promise<HostRecord | undefined>;
  /**
   * Gives a host another name or other labels, or both, and stores the events that `events` makes of it. Resolves to the
   * host as it is now and its name before, or to why nothing was changed.
   */
  update(
    hostId: string,
    change: HostChange,
    events: (host: HostRecord, previousName: string) => readonly NewEvent[],
  ): Promise<HostUpdate>;
  /**
   * Deletes a host with its agent, bans its engine where `ban` says so, and stores the events; false, and nothing stored, when
   * there is no such host.
   */
  remove(hostId: string, events: readonly NewEvent[], ban?: EngineBanRecord): Promise<boolean>;
  /**
   * Gives an agent another public key and stores the events; false, and nothing stored, when `from` is not its key (any
   * more).
   */
  changeKey(
    agentId: string,
    change: { readonly from: Uint8Array; readonly to: Uint8Array },
    events: readonly NewEvent[],
  ): Promise<boolean>;
  /** A page of the engines that may not be enrolled, by their ids, beginning after the given one. */
  bans(after: string | undefined, limit: number): Promise<EngineBanRecord[]>;
  /** Lets an engine be enrolled again and stores the events that `events` makes of the ban. Undefined, and nothing stored: it was not banned. */
  liftBan(
    engineId: string,
    events: (ban: EngineBanRecord) => readonly NewEvent[],
  ): Promise<EngineBanRecord | undefined>;
}
