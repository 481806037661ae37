import { lookup } from "node:dns/promises";
import type { X509Certificate } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../domain/errors.ts";
import { noCaDigest, parseRegistrationToken } from "../../domain/registration-token.ts";
import { withDeadline } from "../../resilience/deadline.ts";
import type { AgentConfig } from "../config.ts";
import type { CertificateFile } from "../identity/certificate-file.ts";
import type { IdentityFile } from "../identity/identity-file.ts";
import type { TrustStore } from "../identity/trust-store.ts";
import { fetchAuthority } from "../session/authority-pin.ts";
import { channelCredentials } from "../session/channel-credentials.ts";
import { AgentConnection } from "../session/connection.ts";
import { serverNameFrom } from "../session/server-name.ts";
import { explained } from "../session/tls-mismatch.ts";
import { bad, type Diagnosis, type DiagnosisStage, good, skipped } from "./diagnosis.ts";

/** What the doctor looks at. */
export interface DoctorRooms {
  readonly config: AgentConfig;
  readonly identity: Pick<IdentityFile, "agentId">;
  readonly trust: TrustStore;
  readonly certificate: CertificateFile;
}

const stageMs = 5_000;
const clockToleranceMs = 5_000;

/**
 * Looks at the way to the control plane stage by stage and says what it finds, up to and without a session: a running agent is not
 * disturbed, and a registration token is not used up. What rests on a stage that failed is not looked at; the engine always is.
 */
export async function* examine(rooms: DoctorRooms, signal: AbortSignal): AsyncGenerator<Diagnosis, void> {
  let wayIsGood = true;
  for (const [stage, look] of way) {
    if (!wayIsGood) {
      yield skipped(stage, "what it rests on has failed");
      continue;
    }
    const diagnosis = await within(stage, rooms, signal, look);
    // A clock that is off is bad for its own reasons, and keeps nobody from going on.
    wayIsGood = diagnosis.verdict !== "bad" || stage === "clock";
    yield diagnosis;
  }
  yield await within("engine", rooms, signal, lookAtEngine);
}

type Look = (rooms: DoctorRooms, signal: AbortSignal) => Promise<Diagnosis>;

const way: readonly (readonly [DiagnosisStage, Look])[] = [
  ["name", lookUpName],
  ["tcp", connectToPort],
  ["authority", lookAtAuthority],
  ["grpc", hearChallenge],
  ["clock", compareClocks],
  ["identity", lookAtIdentity],
  ["certificate", lookAtCertificate],
];

function late(): FleetError {
  return new FleetError("DEADLINE_EXCEEDED", `nothing within ${stageMs} ms`);
}

async function within(
  stage: DiagnosisStage,
  rooms: DoctorRooms,
  parent: AbortSignal,
  look: Look,
): Promise<Diagnosis> {
  try {
    return await withDeadline({ ms: stageMs, clock: rooms.config.clock, parent, late }, (signal) =>
      look(rooms, signal),
    );
  } catch (error) {
    parent.throwIfAborted();
    const { message } = error instanceof Error ? error : new Error(String(error));
    return bad(stage, message, adviceFor[stage]);
  }
}

const adviceFor: Record<DiagnosisStage, string> = {
  name: "check the name in --server, and this machine's name service (/etc/resolv.conf)",
  tcp: "check that the control plane runs and listens there (its --agents-listen), and that no firewall is in between",
  tls: "check that --server is the control plane's port for agents, and not its API or another program",
  authority:
    "create a new registration token at the control plane that really listens there, or correct --server",
  grpc: "something between this machine and the control plane does not pass HTTP/2 on, or ends TLS; let it pass the connection through as it is",
  clock: "let both machines keep their clocks by NTP",
  identity: "create a registration token with `fairlead token create`, and start the agent with it",
  certificate:
    "create a token made for this host (fairlead token create --host), remove agent.json from the data folder, and start the agent with that token",
  engine:
    "start the container engine, and let this user reach its socket (the group docker, or --docker-host)",
};

async function lookUpName({ config }: DoctorRooms): Promise<Diagnosis> {
  const { host } = serverNameFrom(config.server);
  const addresses = await lookup(host, { all: true });
  return good("name", `${host} is ${addresses.map(({ address }) => address).join(", ")}`);
}

async function connectToPort({ config }: DoctorRooms, signal: AbortSignal): Promise<Diagnosis> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connectTcp(serverNameFrom(config.server), resolve);
  const onAbort = () => reject(signal.reason);
  socket.once("error", reject);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
    return good("tcp", `${config.server} takes connections`);
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

async function lookAtAuthority({ config, trust }: DoctorRooms, signal: AbortSignal): Promise<Diagnosis> {
  if (config.insecure) return skipped("authority", "plaintext was asked for with --insecure");
  if (trust.authorities !== undefined) {
    return good("authority", "the authority of the control plane is known; the next stage checks it");
  }
  const digest = config.token === undefined ? undefined : parseRegistrationToken(config.token)?.caDigest;
  if (digest === undefined) {
    return skipped("authority", "there is neither a known authority nor a token that names one");
  }
  if (digest === noCaDigest) return skipped("authority", "the token is one of a control plane without TLS");
  await fetchAuthority(serverNameFrom(config.server), digest, signal);
  return good("authority", "the control plane shows the authority that the token names");
}

async function hearChallenge(rooms: DoctorRooms, signal: AbortSignal): Promise<Diagnosis> {
  const { minProtocolVersion, maxProtocolVersion } = await challenge(rooms, signal);
  return good(
    "grpc",
    `the control plane speaks protocol versions ${minProtocolVersion} to ${maxProtocolVersion}`,
  );
}

async function compareClocks(rooms: DoctorRooms, signal: AbortSignal): Promise<Diagnosis> {
  const before = rooms.config.clock.now();
  const { serverTime } = await challenge(rooms, signal);
  if (serverTime === undefined) return skipped("clock", "this control plane does not tell its time");
  // Halfway between the two moments is the best guess of when the other clock was read.
  const offsetMs = Math.round(timestampMs(serverTime) - (before + rooms.config.clock.now()) / 2);
  const detail = `the control plane's clock is ${Math.abs(offsetMs)} ms ${offsetMs < 0 ? "behind" : "ahead"}`;
  return Math.abs(offsetMs) > clockToleranceMs
    ? bad("clock", detail, adviceFor.clock)
    : good("clock", detail);
}

async function challenge({ config, ...rooms }: DoctorRooms, signal: AbortSignal) {
  const connection = new AgentConnection(config.server, await channelCredentials(config, rooms, signal));
  try {
    const message = await connection.next(signal);
    if (message.case === "challenge") return message.value;
    throw new FleetError(
      "PROTOCOL_VIOLATION",
      `it sent a ${message.case ?? "message"} where a challenge was due`,
    );
  } catch (error) {
    const plaintext = config.insecure || rooms.trust.authorities === undefined;
    throw error instanceof FleetError
      ? await explained(error, { server: config.server, plaintext }, signal)
      : error;
  } finally {
    connection.close();
  }
}

async function lookAtIdentity({ config, identity }: DoctorRooms): Promise<Diagnosis> {
  if (identity.agentId !== undefined) {
    return good("identity", `this host is enrolled as agent ${identity.agentId}`);
  }
  if (config.token === undefined) {
    return bad("identity", "this host is not enrolled, and there is no token", adviceFor.identity);
  }
  return parseRegistrationToken(config.token) === undefined
    ? bad("identity", "the token is malformed; it should look like fl1.….…", "copy the token again, whole")
    : good("identity", "this host is not enrolled yet, and has a token to do so");
}

async function lookAtCertificate(rooms: DoctorRooms, signal: AbortSignal): Promise<Diagnosis> {
  const { certificate, config, identity } = rooms;
  const { clientCertificateRequired } = await challenge(rooms, signal);
  if (identity.agentId === undefined) {
    return good("certificate", "one comes with the enrolment, where it is needed");
  }
  const fault = faultOf(certificate.details, identity.agentId, config.clock.now());
  if (fault === undefined) {
    return good("certificate", `this host's is good until ${certificate.details?.validTo}`);
  }
  return clientCertificateRequired
    ? bad("certificate", `the control plane requires one, and ${fault}`, adviceFor.certificate)
    : good("certificate", `the control plane requires none, and ${fault}`);
}

function faultOf(certificate: X509Certificate | undefined, agentId: string, now: number): string | undefined {
  if (certificate === undefined) return "this host has none";
  if (certificate.subject !== `CN=${agentId}`) return "this host has that of another agent";
  if (now > certificate.validToDate.getTime()) return `this host's ended ${certificate.validTo}`;
  return undefined;
}

async function lookAtEngine({ config }: DoctorRooms, signal: AbortSignal): Promise<Diagnosis> {
  const { engineVersion, operatingSystem } = await config.engine.facts(signal);
  return good(
    "engine",
    `${config.engine.kind} ${engineVersion ?? ""} on ${operatingSystem ?? "an unknown system"}`,
  );
}
