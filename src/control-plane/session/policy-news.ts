import type { HostPolicy } from "../../gen/fairlead/agent/v1/host_policy_pb.js";
import type { HostPolicyRecord } from "../../storage/records.ts";
import type { FleetRepository } from "../../storage/storage.ts";
import type { AgentSession } from "./agent-session.ts";

/** A host's policy, as its agent tells it, for the database. */
export function policyRecordFrom({ readOnly, digest, summary, problem }: HostPolicy): HostPolicyRecord {
  return { readOnly, digest, summary, problem };
}

/**
 * Keeps what the agent of one session tells of its host's policy. While one is being written only the latest of those that come
 * waits, so that an agent that tells of nothing else fills nothing.
 */
export class PolicyNews {
  readonly #session: AgentSession;
  readonly #fleet: Pick<FleetRepository, "keepPolicy">;
  #next: HostPolicyRecord | undefined;
  #isWriting = false;

  constructor(session: AgentSession, fleet: Pick<FleetRepository, "keepPolicy">) {
    this.#session = session;
    this.#fleet = fleet;
  }

  /** Takes a policy, which has kept its bounds. */
  take(policy: HostPolicy): void {
    this.#next = policyRecordFrom(policy);
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    const { identity, logger } = this.#session;
    this.#isWriting = true;
    try {
      for (let policy = this.#taken(); policy !== undefined; policy = this.#taken()) {
        const { digest, problem, readOnly } = policy;
        logger.info({ digest, problem, read_only: readOnly }, "the policy of a host is another one now");
        await this.#fleet.keepPolicy(identity.agentId, identity.epoch, policy);
      }
    } catch (error) {
      logger.error({ err: error }, "the policy of a host could not be stored");
    } finally {
      this.#isWriting = false;
    }
  }

  #taken(): HostPolicyRecord | undefined {
    const policy = this.#next;
    this.#next = undefined;
    return policy;
  }
}
