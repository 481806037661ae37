import { X509Certificate } from "node:crypto";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import { AuthorityState } from "../../gen/fairlead/authority/v1/authority_pb.js";
import {
  type AuthorityService,
  type ListUninformedHostsRequest,
  ListUninformedHostsRequestSchema,
} from "../../gen/fairlead/authority/v1/authority_service_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import { publicKeyDigest } from "../../rpc/public-key-digest.ts";
import type { HostRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { AgentCertificates } from "../certificates/agent-certificates.ts";
import type { OwnAuthority } from "../certificates/own-authority.ts";
import { doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import { compareText } from "../inventory/order.ts";
import type { AuthorityNews } from "../session/authority-news.ts";
import type { CertificateIssuance } from "../session/certificate-issuance.ts";
import type { Sessions } from "../session/session-registry.ts";
import { actorOf, requireWholeFleet } from "./calling.ts";
import { readPage } from "./page.ts";

/** What the authority service needs. */
export interface AuthorityServiceParts {
  /** Undefined: there is none, because the certificate is the operator's and agents are given none, or there is no TLS. */
  readonly authority: OwnAuthority | undefined;
  readonly authorityNews: Pick<AuthorityNews, "newest" | "announce">;
  readonly storage: { readonly fleet: Pick<Storage["fleet"], "all"> };
  /** Undefined: agents are given no certificates. */
  readonly issuance: Pick<CertificateIssuance, "wantAll"> | undefined;
  readonly agentTls: { readonly certificates?: Pick<AgentCertificates, "required"> };
  readonly sessions: Pick<Sessions, "isOnline">;
  readonly events: Pick<EventLog, "record">;
}

/** Within which time agents get certificates of the authority that was put in force. */
const renewWithinMs = 60 * 60_000;

type Values = HandlerContext["values"];

const states = {
  steady: AuthorityState.STEADY,
  prepared: AuthorityState.PREPARED,
  switched: AuthorityState.SWITCHED,
} as const;

/** Replaces the control plane's own certificate authority, step by step. */
export function createAuthorityService(parts: AuthorityServiceParts): ServiceImpl<typeof AuthorityService> {
  return {
    async getAuthority(_request, { values }) {
      return { authority: await messageOf(parts, allowed(parts, values)) };
    },
    async rotateAuthority(_request, { values }) {
      const authority = allowed(parts, values);
      if (await authority.prepare()) made(parts, authority, EventType.AUTHORITY_SUCCESSOR_MADE, values, {});
      return { authority: await messageOf(parts, authority) };
    },
    async switchAuthority({ force }, { values }) {
      const authority = allowed(parts, values);
      const missing = await uninformed(parts);
      const online = missing.filter(({ agentId }) => parts.sessions.isOnline(agentId));
      if (authority.rotation.state === "prepared" && !force) requireNone(online, "hosts that are online");
      if (await authority.switchOver()) {
        parts.issuance?.wantAll(renewWithinMs);
        made(parts, authority, EventType.AUTHORITY_ROTATED, values, {
          uninformed_hosts: `${missing.length}`,
        });
      }
      return { authority: await messageOf(parts, authority) };
    },
    async retireAuthority({ force }, { values }) {
      const authority = allowed(parts, values);
      const missing = await uninformed(parts);
      if (authority.rotation.state === "switched" && !force) requireNone(missing, "hosts");
      const before = digestsOf(authority);
      if (await authority.retire()) {
        const attributes = { ...before, uninformed_hosts: `${missing.length}` };
        made(parts, authority, EventType.AUTHORITY_RETIRED, values, attributes);
      }
      return { authority: await messageOf(parts, authority) };
    },
    listUninformedHosts(request, { values }) {
      allowed(parts, values);
      return listUninformed(parts, request);
    },
  };
}

function allowed({ authority }: AuthorityServiceParts, values: Values): OwnAuthority {
  requireWholeFleet(values);
  if (authority !== undefined) return authority;
  throw new FleetError(
    "AUTHORITY_NOT_READY",
    "this control plane has no certificate authority of its own; replace your certificate's files instead",
  );
}

/** Tells agents, and writes down what was done. */
function made(
  { authorityNews, events }: AuthorityServiceParts,
  authority: OwnAuthority,
  type: EventType,
  values: Values,
  attributes: Readonly<Record<string, string>>,
): void {
  authorityNews.announce();
  events.record({ type, ...doneBy(actorOf(values), { ...digestsOf(authority), ...attributes }) });
}

function digestsOf({ authorityDigest: digest, rotation }: OwnAuthority): Record<string, string> {
  switch (rotation.state) {
    case "steady":
      return { digest };
    case "prepared":
      return { digest, successor_digest: digestText(rotation.successor.certificate) };
    case "switched":
      return { digest, previous_digest: digestText(rotation.previous) };
  }
}

/** Those that do not trust the newest authority, and those whose certificate, which they need, is not good without the one that goes. */
async function uninformed(parts: AuthorityServiceParts): Promise<HostRecord[]> {
  const { agentTls, authority, authorityNews, storage } = parts;
  // Where the server's certificate is the operator's, agents trust by other means, and have nothing to confirm.
  const { newest } = authorityNews;
  const needsNew = agentTls.certificates?.required === true && authority?.rotation.state === "switched";
  return (await storage.fleet.all()).filter(
    ({ facts: { authorities, certificate } }) =>
      (newest !== undefined && authorities?.includes(newest) !== true) ||
      (needsNew && certificate?.authorityDigest !== authority.authorityDigest),
  );
}

// An error has room for a few names; `ListUninformedHosts` has them all.
const namedHosts = 5;

function requireNone(hosts: readonly HostRecord[], which: string): void {
  if (hosts.length === 0) return;
  const names = hosts.slice(0, namedHosts).map(({ name }) => name);
  const others = hosts.length > names.length ? ` and ${hosts.length - names.length} more` : "";
  throw new FleetError(
    "AUTHORITY_NOT_READY",
    `${which} are not ready for the successor: ${names.join(", ")}${others}; wait for them, see \`fairlead authority status\`, or use --force`,
    { metadata: { uninformed_hosts: `${hosts.length}` } },
  );
}

async function messageOf(parts: AuthorityServiceParts, authority: OwnAuthority) {
  const { rotation, authorityCertificate } = authority;
  const missing = await uninformed(parts);
  const hosts = await parts.storage.fleet.all();
  return {
    state: states[rotation.state],
    current: certificateMessage(authorityCertificate),
    ...(rotation.state === "prepared" && { successor: certificateMessage(rotation.successor.certificate) }),
    ...(rotation.state === "switched" && { previous: certificateMessage(rotation.previous) }),
    hostCount: hosts.length,
    informedHostCount: hosts.length - missing.length,
    uninformedOnlineHostCount: missing.filter(({ agentId }) => parts.sessions.isOnline(agentId)).length,
  };
}

function certificateMessage(pem: string) {
  const { validToDate } = new X509Certificate(pem);
  return { digest: digestText(pem), certificate: pem, expireTime: timestampFromDate(validToDate) };
}

function digestText(pem: string): string {
  return publicKeyDigest(new X509Certificate(pem)).toString("base64url");
}

async function listUninformed(parts: AuthorityServiceParts, request: ListUninformedHostsRequest) {
  const page = await readPage<
    typeof ListUninformedHostsRequestSchema,
    HostRecord,
    { name: string; id: string }
  >(ListUninformedHostsRequestSchema, request, {
    fields: { name: "string", id: "string" },
    position: ({ name, id }) => ({ name, id }),
    read: async (after, limit) => {
      const hosts = (await uninformed(parts)).toSorted(inOrder);
      return hosts.filter((host) => after === undefined || inOrder(after, host) < 0).slice(0, limit);
    },
  });
  return {
    hosts: page.items.map(({ id, name, agentId }) => ({
      hostId: id,
      hostName: name,
      online: parts.sessions.isOnline(agentId),
    })),
    nextPageToken: page.nextPageToken,
  };
}

type Place = Pick<HostRecord, "name" | "id">;

function inOrder(one: Place, other: Place): number {
  return compareText(one.name, other.name) || compareText(one.id, other.id);
}
