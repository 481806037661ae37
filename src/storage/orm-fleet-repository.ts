import type { Database } from "./database.ts";
import { findBans, liftBan, writeBan } from "./engine-bans.ts";
import { enrol } from "./enrol.ts";
import { EnrolmentRefused } from "./enrolment-refused.ts";
import { AgentEntity } from "./entities/agent.ts";
import { HostEntity } from "./entities/host.ts";
import { GroupCommit } from "./group-commit.ts";
import { findAgent } from "./agent-rows.ts";
import { findHosts } from "./host-rows.ts";
import { canBeStored } from "./lookup.ts";
import { keepFact, type ToldFact } from "./keep-fact.ts";
import type {
  EngineBanRecord,
  HostCertificateRecord,
  HostPolicyRecord,
  HostRecord,
  NewEvent,
} from "./records.ts";
import {
  type BegunSession,
  type EndedSession,
  writeBegunSessions,
  writeEndedSessions,
} from "./session-writes.ts";
import type {
  Enrolment,
  EnrolmentResult,
  FleetRepository,
  HostChange,
  HostUpdate,
  SessionStart,
} from "./fleet-repository.ts";
import { isUnavailable } from "./storage-error.ts";
import { updateHost } from "./update-host.ts";

/** Sessions in one transaction at most. */
const maxSessions = 512;

/** The `FleetRepository` of a database. Sessions that begin or end in one tick are written together. */
export class OrmFleetRepository implements FleetRepository {
  readonly #database: Database;
  readonly #begun: GroupCommit<BegunSession, HostRecord | undefined>;
  readonly #ended: GroupCommit<EndedSession, boolean>;

  constructor(database: Database) {
    this.#database = database;
    const group = { mayBeOneItem: (error: unknown) => !isUnavailable(error), maxItems: maxSessions };
    this.#begun = new GroupCommit({
      ...group,
      write: (begun) => database.transact((transaction) => writeBegunSessions(transaction, begun)),
    });
    this.#ended = new GroupCommit({
      ...group,
      write: (ended) => database.transact((transaction) => writeEndedSessions(transaction, ended)),
    });
  }

  async enrol(enrolment: Enrolment): Promise<EnrolmentResult> {
    try {
      const enrolled = await this.#database.transact((transaction) => enrol(transaction, enrolment));
      return { kind: "enrolled", ...enrolled };
    } catch (error) {
      if (error instanceof EnrolmentRefused) {
        return error.result;
      }
      throw error;
    }
  }

  async agent(agentId: string): Promise<HostRecord | undefined> {
    return canBeStored(agentId) ? this.#database.read((em) => findAgent(em, agentId)) : undefined;
  }

  async beginSession(
    agentId: string,
    start: SessionStart,
  ): Promise<{ readonly epoch: number; readonly host: HostRecord } | undefined> {
    const host = canBeStored(agentId) ? await this.#begun.add({ agentId, start }) : undefined;
    return host === undefined ? undefined : { epoch: host.sessionEpoch, host };
  }

  async endSession(agentId: string, epoch: number, now: number): Promise<boolean> {
    return canBeStored(agentId) && (await this.#ended.add({ agentId, epoch, now }));
  }

  keepPolicy(agentId: string, epoch: number, policy: HostPolicyRecord): Promise<boolean> {
    return this.#keepFact(agentId, epoch, { policy });
  }

  keepAuthorities(agentId: string, epoch: number, authorities: readonly string[]): Promise<boolean> {
    return this.#keepFact(agentId, epoch, { authorities });
  }

  keepCertificate(agentId: string, epoch: number, certificate: HostCertificateRecord): Promise<boolean> {
    return this.#keepFact(agentId, epoch, { certificate });
  }

  async #keepFact(agentId: string, epoch: number, fact: ToldFact): Promise<boolean> {
    return (
      canBeStored(agentId) &&
      (await this.#database.transact((transaction) => keepFact(transaction, { agentId, epoch, fact })))
    );
  }

  async markAllOffline(): Promise<void> {
    await this.#database.transact(({ em }) =>
      em.nativeUpdate(AgentEntity, { online: true }, { online: false }),
    );
  }

  async list(
    after: { readonly name: string; readonly id: string } | undefined,
    limit: number,
  ): Promise<HostRecord[]> {
    if (after === undefined) {
      return this.#database.read((em) => findHosts(em, {}, limit));
    }
    if (!canBeStored(after.name, after.id)) {
      return [];
    }
    const beyond = { $or: [{ name: { $gt: after.name } }, { name: after.name, id: { $gt: after.id } }] };
    return this.#database.read((em) => findHosts(em, { host: beyond }, limit));
  }

  async all(): Promise<HostRecord[]> {
    return this.#database.read((em) => findHosts(em, {}));
  }

  async find(idOrName: string): Promise<HostRecord | undefined> {
    if (!canBeStored(idOrName)) {
      return undefined;
    }
    return this.#database.read(async (em) => {
      const [byId] = await findHosts(em, { host: { id: idOrName } }, 1);
      const [byName] = byId === undefined ? await findHosts(em, { host: { name: idOrName } }, 1) : [];
      return byId ?? byName;
    });
  }

  async update(
    hostId: string,
    change: HostChange,
    events: (host: HostRecord, previousName: string) => readonly NewEvent[],
  ): Promise<HostUpdate> {
    if (!canBeStored(hostId)) {
      return { kind: "refused", cause: "UNKNOWN" };
    }
    return this.#database.transact((transaction) => updateHost(transaction, hostId, change, events));
  }

  async remove(hostId: string, events: readonly NewEvent[], ban?: EngineBanRecord): Promise<boolean> {
    if (!canBeStored(hostId)) {
      return false;
    }
    return this.#database.transact(async ({ em, insertEvents }) => {
      // The agent goes with it, by its foreign key.
      const count = await em.nativeDelete(HostEntity, { id: hostId });
      if (count > 0) {
        if (ban !== undefined) {
          await writeBan(em, ban);
        }
        await insertEvents(events);
      }
      return count > 0;
    });
  }

  async changeKey(
    agentId: string,
    { from, to }: { readonly from: Uint8Array; readonly to: Uint8Array },
    events: readonly NewEvent[],
  ): Promise<boolean> {
    return this.#database.transact(async ({ em, insertEvents }) => {
      const count = await em.nativeUpdate(AgentEntity, { id: agentId, publicKey: from }, { publicKey: to });
      if (count > 0) {
        await insertEvents(events);
      }
      return count > 0;
    });
  }

  bans(after: string | undefined, limit: number): Promise<EngineBanRecord[]> {
    return this.#database.read((em) => findBans(em, after, limit));
  }

  async liftBan(
    engineId: string,
    events: (ban: EngineBanRecord) => readonly NewEvent[],
  ): Promise<EngineBanRecord | undefined> {
    if (!canBeStored(engineId)) {
      return undefined;
    }
    return this.#database.transact((transaction) => liftBan(transaction, engineId, events));
  }

  /** Resolves when no session waits to be written. */
  async idle(): Promise<void> {
    await Promise.all([this.#begun.idle(), this.#ended.idle()]);
  }
}
