import type { Logger } from "pino";
import type { CommandState } from "../domain/command-state.ts";
import type { ApiKeyRepository } from "./api-key-repository.ts";
import { openOrm } from "./open-orm.ts";
import { OrmStorage } from "./orm-storage.ts";
import type {
  CommandRecord,
  EngineBanRecord,
  EventRecord,
  HostFactsRecord,
  HostCertificateRecord,
  HostPolicyRecord,
  HostRecord,
  NewEvent,
  TokenRecord,
} from "./records.ts";

/** What is to be written together with everything else of the same tick. */
export interface CommitBatch {
  /** New and changed commands, whole. Of several records of one command the last one wins. */
  readonly commands?: readonly CommandRecord[];
  readonly events?: readonly NewEvent[];
}

/**
 * What the control plane remembers. Every method rejects with a `FleetError` `STORAGE_UNAVAILABLE` when the database
 * cannot do its work (disk full, read-only, broken, closed); what a resolved promise told has been committed.
 */
export interface Storage {
  readonly fleet: FleetRepository;
  readonly tokens: TokenRepository;
  readonly keys: ApiKeyRepository;
  readonly commands: CommandRepository;
  readonly events: EventRepository;
  /**
   * Writes a batch. All calls of one turn of the event loop become one transaction, in the order of the calls; the
   * promise resolves when COMMIT has returned. A batch that the database refuses for what is in it fails alone.
   */
  commit(batch: CommitBatch): Promise<void>;
  /**
   * Calls the listener with the newest sequence after each commit that stored events, whoever stored them. Returns
   * the function that ends this.
   */
  onEvents(listener: (newestSequence: number) => void): () => void;
  /** Whether the latest attempt to write went through. */
  healthy(): boolean;
  /** Calls the listener whenever what `healthy` says has changed. Returns the function that ends this. */
  onHealth(listener: (healthy: boolean) => void): () => void;
  /** Tries a small write, which decides what `healthy` says. Never rejects. */
  probe(): Promise<boolean>;
  /**
   * Empties the write-ahead log into the main file: what was deleted or replaced before is in no file any more. False: another process reads the
   * database, and something is left in the log.
   */
  emptyLog(): Promise<boolean>;
  /** Waits for what was begun, then closes the file. May be called twice. */
  close(): Promise<void>;
}

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

/** Registration tokens. Their uses are counted by `FleetRepository.enrol`. */
export interface TokenRepository {
  create(token: TokenRecord, events: readonly NewEvent[]): Promise<void>;
  /** A page of tokens, newest first, beginning with the one created before the given one. */
  list(
    before: { readonly createTime: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<TokenRecord[]>;
  /**
   * Revokes a token and stores the events that `events` makes of it. A token that was revoked before is returned as
   * it is, with no event. Undefined when there is no such token.
   */
  revoke(
    id: string,
    now: number,
    events: (token: TokenRecord) => readonly NewEvent[],
  ): Promise<TokenRecord | undefined>;
  /** The token whose secret has this SHA-256. */
  findByHash(secretHash: Uint8Array): Promise<TokenRecord | undefined>;
  /**
   * Deletes at most `batch` of the tokens that expired or were revoked before `endedBefore`, the oldest first. Returns how many; fewer
   * than `batch` means that none is left to delete.
   */
  prune(rule: { readonly endedBefore: number; readonly batch: number }): Promise<number>;
}

/** Which commands to list; what is undefined does not filter. */
export interface CommandQuery {
  readonly hostId?: string | undefined;
  /** Of any of these hosts; of none when it is empty. */
  readonly hostIds?: readonly string[] | undefined;
  /** Its full id, or the name that it had when the command was created. */
  readonly container?: string | undefined;
  readonly states?: readonly CommandState[] | undefined;
  readonly reasons?: readonly string[] | undefined;
  readonly caller?: string | undefined;
  /** Created then or later. */
  readonly createdSince?: number | undefined;
  /** Created earlier. */
  readonly createdBefore?: number | undefined;
  /** Only commands with a smaller id. */
  readonly beforeId?: string | undefined;
  readonly limit: number;
}

/** Journaled commands. They are written by `Storage.commit`. */
export interface CommandRepository {
  get(id: string): Promise<CommandRecord | undefined>;
  /** Which of these commands are known and were for this agent. */
  ofAgent(agentId: string, ids: readonly string[]): Promise<string[]>;
  /** Those that have not ended, oldest first. */
  open(): Promise<CommandRecord[]>;
  /** The newest command that this caller created with this key at `since` or later. */
  findByRequest(caller: string, requestId: string, since: number): Promise<CommandRecord | undefined>;
  /** Newest first. */
  list(query: CommandQuery): Promise<CommandRecord[]>;
  /** How many have ended. Counts them, which takes some milliseconds for a million. */
  countEnded(): Promise<number>;
  /** Looks at the next ended commands, the oldest first, and empties the outcomes of those operations. */
  forgetOutcomes(rule: OutcomeForgetting): Promise<ForgottenOutcomes>;
  /** Looks at the next ended commands, the oldest first, and deletes those that the rule says. */
  prune(rule: CommandPruning): Promise<PrunedCommands>;
}

/** The place of an ended command among them, in the order of their ends. */
export interface CommandPosition {
  readonly endTime: number;
  readonly id: string;
}

/** Which outcomes are not kept any longer. */
export interface OutcomeForgetting {
  /** By the name in the journal. */
  readonly operations: readonly string[];
  /** Of commands that ended earlier. */
  readonly endedBefore: number;
  /** Where the look before this one ended. Undefined: begins with the oldest. */
  readonly after: CommandPosition | undefined;
  /** How many to look at. */
  readonly batch: number;
}

/** What became of it. */
export interface ForgottenOutcomes {
  /** Where the next look begins, now or later. */
  readonly last: CommandPosition | undefined;
  /** There is nothing to look at behind it now. */
  readonly done: boolean;
}

/** Which ended commands to delete. */
export interface CommandPruning {
  /** All that ended earlier. */
  readonly endedBefore: number;
  /** So many more, the oldest first. */
  readonly excess: number;
  /** A command with a caller's key that was created then or later stays in any case: the key still stands for it. */
  readonly keysSince: number;
  /** Where the look before this one ended. Undefined: begins with the oldest. */
  readonly after?: CommandPosition | undefined;
  /** How many to look at. */
  readonly batch: number;
}

/** What one look has done. */
export interface PrunedCommands {
  readonly deleted: number;
  /** Where to go on. Undefined: nothing behind it is to be deleted. */
  readonly last: CommandPosition | undefined;
}

/** Which events to list; what is undefined does not filter. */
export interface EventQuery {
  readonly afterSequence: number;
  /** The last sequence that may be in the answer. */
  readonly upTo?: number | undefined;
  readonly types?: readonly number[] | undefined;
  readonly hostIds?: readonly string[] | undefined;
  /** A container's full id or its name. */
  readonly container?: string | undefined;
  readonly commandId?: string | undefined;
  readonly limit: number;
}

/** The event log. It is written by `Storage.commit` and by the transactions of the other repositories. */
export interface EventRepository {
  /** Oldest first. */
  list(query: EventQuery): Promise<EventRecord[]>;
  /** The newest events of a host before a sequence, newest first. Undefined: the newest of all. */
  newestOfHost(hostId: string, beforeSequence: number | undefined, limit: number): Promise<EventRecord[]>;
  /** The newest sequence; 0 when there was never an event. */
  newest(): Promise<number>;
  /** The oldest sequence that is kept; 0 when there was never an event. */
  oldest(): Promise<number>;
  /**
   * Deletes at most `batch` of the oldest events, as long as they were recorded before `before` or are more than the
   * `keepAtMost` newest ones. The newest event of all is always kept: it says where the log stands. Returns how
   * many; fewer than `batch` means that none is left to delete.
   */
  prune(rule: {
    readonly before: number;
    readonly keepAtMost: number;
    readonly batch: number;
  }): Promise<number>;
}

/** Where the database is, and who is told when it fails. */
export interface StorageOptions {
  /** Path of the file. It is made when missing, with its folder, for their owner alone. */
  readonly path: string;
  readonly logger: Logger;
  readonly observer?: StorageObserver;
}

/** Who measures the group commit. */
export interface StorageObserver {
  /** A transaction of `commit` begins. What is returned is called once, when it has ended. Must not throw. */
  committing(group: CommitGroup): (committed: boolean) => void;
}

/** What one transaction writes. */
export interface CommitGroup {
  /** How many calls of `commit`. */
  readonly batches: number;
  /** How many calls wait for the next transaction. */
  readonly waiting: number;
}

/**
 * Opens the database and brings its schema up to date. Rejects with a `FleetError` `STORAGE_UNAVAILABLE` that says
 * why when it cannot be used, or when a newer version wrote it.
 */
export async function openStorage({ path, logger, observer }: StorageOptions): Promise<Storage> {
  return new OrmStorage(await openOrm(path), logger, observer);
}
