import type { HostPolicy } from "../../gen/fairlead/agent/v1/host_policy_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { HostPolicyRecord } from "../../storage/records.ts";
import type { FleetRepository } from "../../storage/fleet-repository.ts";
import type { EventLog } from "../events/event-log.ts";
import type { AgentSession } from "./agent-session.ts";
import { LatestWrite } from "./latest-write.ts";

/** Where the news goes. */
export interface PolicyNewsParts {
  readonly session: AgentSession;
  /** What the agent told as the session began. Undefined: everything is allowed. */
  readonly policy: HostPolicyRecord | undefined;
  readonly fleet: Pick<FleetRepository, "keepPolicy">;
  readonly events: Pick<EventLog, "record">;
}

/** A host's policy, as its agent tells it, for the database. */
export function policyRecordFrom({ readOnly, digest, summary, problem }: HostPolicy): HostPolicyRecord {
  return { readOnly, digest, summary, problem };
}

/** Makes an event of what is another policy of a host, or has another problem, than the one before it. */
export function recordPolicyChange(
  events: Pick<EventLog, "record">,
  { hostId, hostName }: { readonly hostId: string; readonly hostName: string },
  before: HostPolicyRecord | undefined,
  now: HostPolicyRecord | undefined,
): void {
  if (before?.digest === now?.digest && before?.problem === now?.problem) return;
  const attributes = {
    ...(now?.digest && { digest: now.digest }),
    ...(before?.digest && { previous_digest: before.digest }),
    rules: `${now?.summary.length ?? 0}`,
    previous_rules: `${before?.summary.length ?? 0}`,
    read_only: `${now?.readOnly ?? false}`,
    ...(now?.problem && { problem: now.problem }),
  };
  events.record({ type: EventType.HOST_POLICY_CHANGED, hostId, hostName, attributes });
}

/** Keeps what the agent of one session tells of its host's policy, the latest only, and makes events of its changes. */
export class PolicyNews {
  readonly #writes: LatestWrite<HostPolicyRecord>;
  #kept: HostPolicyRecord | undefined;

  constructor({ session, policy, fleet, events }: PolicyNewsParts) {
    this.#kept = policy;
    this.#writes = new LatestWrite(session, "the policy of a host", async (next) => {
      const { identity, logger } = session;
      const { digest, problem, readOnly } = next;
      logger.info({ digest, problem, read_only: readOnly }, "the policy of a host is another one now");
      if (!(await fleet.keepPolicy(identity.agentId, identity.epoch, next))) return;
      recordPolicyChange(events, identity, this.#kept, next);
      this.#kept = next;
    });
  }

  /** Takes a policy, which has kept its bounds. */
  take(policy: HostPolicy): void {
    this.#writes.take(policyRecordFrom(policy));
  }
}
