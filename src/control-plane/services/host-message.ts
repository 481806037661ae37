import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  CircuitState as CircuitStateMessage,
  type Host,
  HostFactsSchema,
  HostPolicySchema,
  HostSchema,
} from "../../gen/fairlead/host/v1/host_pb.js";
import type { CircuitState } from "../../resilience/circuit-breaker.ts";
import type { HostRecord } from "../../storage/records.ts";
import type { HostView } from "../inventory/host-view.ts";
import { timestampOrUnset } from "./timestamps.ts";

const circuitStates: Record<CircuitState["kind"], CircuitStateMessage> = {
  closed: CircuitStateMessage.CLOSED,
  open: CircuitStateMessage.OPEN,
  "half-open": CircuitStateMessage.HALF_OPEN,
};

/** What is known of a host whose agent has a session now. */
export interface HostContact {
  /** When its agent was heard of, in milliseconds since the epoch. */
  readonly lastSeenTime: number;
  /** How far its clock is ahead, in milliseconds; undefined: not known. */
  readonly clockOffsetMs: number | undefined;
}

/**
 * A host for a caller: what is kept of it from its record, what is true now from the inventory. A host that the
 * inventory does not know (just enrolled, or just deleted) is offline and has no containers.
 */
export function hostMessage(
  record: HostRecord,
  view: HostView | undefined,
  circuit: CircuitState["kind"],
  contact?: HostContact,
): Host {
  const { policy, authorities: _, certificate, ...facts } = record.facts;
  return create(HostSchema, {
    id: record.id,
    name: record.name,
    agentId: record.agentId,
    online: view?.online ?? false,
    engineAvailable: view?.engineAvailable ?? false,
    facts: create(HostFactsSchema, { ...facts, memoryBytes: BigInt(facts.memoryBytes) }),
    labels: { ...record.labels },
    agentVersion: record.agentVersion,
    sessionEpoch: record.sessionEpoch,
    createTime: timestampFromMs(record.createTime),
    connectTime: timestampOrUnset(record.connectTime),
    lastSeenTime: timestampOrUnset(wholeMs(contact?.lastSeenTime) ?? record.lastSeenTime),
    containerCount: view?.containerCount ?? 0,
    runningContainerCount: view?.runningContainerCount ?? 0,
    circuitState: circuitStates[circuit],
    ...(contact?.clockOffsetMs === undefined
      ? {}
      : { clockOffset: durationFromMs(Math.round(contact.clockOffsetMs)) }),
    agentCertificateExpireTime: timestampOrUnset(certificate?.expireTime),
    ...(policy === undefined
      ? {}
      : { policy: create(HostPolicySchema, { ...policy, summary: [...policy.summary] }) }),
  });
}

function wholeMs(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}
