import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { CertificateRequest } from "../../gen/fairlead/agent/v1/frame_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { HostCertificateRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { AgentCertificates, IssuedCertificate } from "../certificates/agent-certificates.ts";
import type { EventDraft, EventLog } from "../events/event-log.ts";
import type { AgentSession } from "./agent-session.ts";
import { certificateItem, certificateWantedItem } from "./control-items.ts";
import type { Sessions } from "./session-registry.ts";

/** What giving agents certificates needs. */
export interface CertificateIssuanceParts {
  readonly certificates: AgentCertificates;
  readonly sessions: Pick<Sessions, "all">;
  readonly storage: { readonly fleet: Pick<Storage["fleet"], "keepCertificate"> };
  readonly events: Pick<EventLog, "record">;
  readonly clock: Clock;
}

// An agent needs one a month; one that asks again and again is not to keep us signing.
const leastIntervalMs = 10_000;

/** Gives certificates to agents that have a session, and asks them to ask for one. */
export class CertificateIssuance {
  readonly #parts: CertificateIssuanceParts;
  readonly #lastMs = new WeakMap<AgentSession, number>();

  constructor(parts: CertificateIssuanceParts) {
    this.#parts = parts;
  }

  /** Asks the agent of a session to ask for a certificate at some moment within this time. */
  want(session: AgentSession, withinMs: number): void {
    session.send(certificateWantedItem(withinMs));
  }

  /** Asks all that are connected. */
  wantAll(withinMs: number): void {
    for (const session of this.#parts.sessions.all()) this.want(session, withinMs);
  }

  /** Takes a request, which has kept its bounds. Never throws. */
  take(session: AgentSession, { request }: CertificateRequest): void {
    const now = this.#parts.clock.monotonic();
    const last = this.#lastMs.get(session);
    if (last !== undefined && now - last < leastIntervalMs) {
      session.logger.warn("an agent asks for certificates too often; this request is left alone");
      return;
    }
    this.#lastMs.set(session, now);
    this.#issue(session, request).catch((error: unknown) => {
      session.logger.warn({ err: error }, "an agent cannot be given a certificate");
    });
  }

  async #issue(session: AgentSession, request: Uint8Array): Promise<void> {
    const { certificates, storage, events } = this.#parts;
    const { agentId, epoch, hostId, hostName } = session.identity;
    const issued = await certificates.issue(request, agentId);
    await storage.fleet.keepCertificate(agentId, epoch, certificateRecordFrom(issued));
    if (session.send(certificateItem(issued.der))) events.record(issuedEvent({ hostId, hostName }, issued));
  }
}

/** What is kept of a certificate. */
export function certificateRecordFrom({
  expireTime,
  authorityDigest,
}: Pick<IssuedCertificate, "expireTime" | "authorityDigest">): HostCertificateRecord {
  return { expireTime, authorityDigest };
}

/** That an agent was given a certificate. */
export function issuedEvent(
  host: { readonly hostId: string; readonly hostName: string },
  { expireTime, authorityDigest }: IssuedCertificate,
): EventDraft {
  const attributes = {
    expire_time: new Date(expireTime).toISOString(),
    authority_digest: authorityDigest,
  };
  return { type: EventType.AGENT_CERTIFICATE_ISSUED, ...host, attributes };
}
