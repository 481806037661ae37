import type { HostPolicy } from "../../gen/fairlead/agent/v1/host_policy_pb.js";
import type { HostPolicyRecord } from "../../storage/records.ts";
import type { FleetRepository } from "../../storage/storage.ts";
import type { AgentSession } from "./agent-session.ts";
import { LatestWrite } from "./latest-write.ts";

/** A host's policy, as its agent tells it, for the database. */
export function policyRecordFrom({ readOnly, digest, summary, problem }: HostPolicy): HostPolicyRecord {
  return { readOnly, digest, summary, problem };
}

/** Keeps what the agent of one session tells of its host's policy, the latest only. */
export class PolicyNews {
  readonly #writes: LatestWrite<HostPolicyRecord>;

  constructor(session: AgentSession, fleet: Pick<FleetRepository, "keepPolicy">) {
    this.#writes = new LatestWrite(session, "the policy of a host", async (policy) => {
      const { identity, logger } = session;
      const { digest, problem, readOnly } = policy;
      logger.info({ digest, problem, read_only: readOnly }, "the policy of a host is another one now");
      await fleet.keepPolicy(identity.agentId, identity.epoch, policy);
    });
  }

  /** Takes a policy, which has kept its bounds. */
  take(policy: HostPolicy): void {
    this.#writes.take(policyRecordFrom(policy));
  }
}
