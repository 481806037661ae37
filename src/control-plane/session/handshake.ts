import { randomBytes, type X509Certificate } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../domain/errors.ts";
import { AgentStreamRequestSchema } from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import {
  type Hello,
  HelloSchema,
  type Reconnection,
  type Registration,
  type SignedHello,
  SignedHelloSchema,
} from "../../gen/fairlead/agent/v1/handshake_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { WireMessage } from "../../rpc/grpc-service.ts";
import { violationsOf } from "../../rpc/message-validator.ts";
import type { HostFactsRecord, HostRecord } from "../../storage/records.ts";
import type { AgentCertificates, IssuedCertificate } from "../certificates/agent-certificates.ts";
import type { Enrolment } from "../enrolment/enrolment.ts";
import { provesKey } from "../enrolment/hello-proof.ts";
import { type AgentCall, nextMessage, sendMessage } from "./agent-call.ts";
import { hexDigests } from "./authority-news.ts";
import { certificateRecordFrom } from "./certificate-issuance.ts";
import { policyRecordFrom } from "./policy-news.ts";

/** The protocol versions that this control plane speaks. */
export const protocolVersions = { min: 1, max: 1 } as const;

/** An agent that has proved who it is. */
export interface Handshaken {
  readonly host: HostRecord;
  readonly hello: Hello;
  readonly facts: HostFactsRecord;
  /** A certificate for its TLS connections, which its registration asked for. */
  readonly issued?: IssuedCertificate | undefined;
  /** It should ask for another one. */
  readonly wantsCertificate: boolean;
}

/** What a handshake needs. */
export interface HandshakeParts {
  readonly enrolment: Enrolment;
  /** Without: agents need none and get none. */
  readonly certificates?: AgentCertificates | undefined;
  /** What the agent showed in the TLS handshake. */
  readonly certificate: X509Certificate | undefined;
  readonly clock: Clock;
}

/**
 * Challenges whoever opened the stream, and finds out who it is: a new host that a registration token brings in, or one
 * that was here before. Nothing is told that an agent has not earned by proving its key. Rejects with the signal's reason when
 * the hello takes too long.
 */
export async function shakeHands(
  call: AgentCall,
  parts: HandshakeParts,
  signal: AbortSignal,
): Promise<Handshaken> {
  const nonce = randomBytes(32);
  const { min, max } = protocolVersions;
  const { clock, certificates } = parts;
  sendMessage(call, {
    case: "challenge",
    value: {
      nonce,
      minProtocolVersion: min,
      maxProtocolVersion: max,
      serverTime: timestampFromMs(clock.now()),
      clientCertificateRequired: certificates?.required ?? false,
    },
  });
  const signed = signedHelloFrom(await nextMessage(call, signal));
  const hello = helloFrom(signed.hello);
  const caller: Introduction = { nonce, signed, hello, address: call.getPeer() };
  switch (hello.identity.case) {
    case "registration":
      return register(parts, caller, hello.identity.value);
    case "reconnection":
      return reconnect(parts, caller, hello.identity.value);
    case undefined:
      throw violation("a Hello without an identity: expected a Registration or a Reconnection");
  }
}

interface Introduction {
  readonly nonce: Uint8Array;
  readonly signed: SignedHello;
  readonly hello: Hello;
  readonly address: string;
}

async function register(
  { enrolment, certificates }: HandshakeParts,
  { nonce, signed, hello, address }: Introduction,
  registration: Registration,
): Promise<Handshaken> {
  const facts = factsFrom(hello);
  if (!(await provesKey({ publicKey: registration.publicKey, nonce, ...signed }))) {
    throw enrolment.refuseSignature({ address, facts });
  }
  welcomeable(hello);
  const { certificateRequest } = registration;
  if (certificates?.required === true && certificateRequest.length === 0) {
    throw new FleetError(
      "CERTIFICATE_REQUIRED",
      "this control plane gives agents certificates, and the registration asks for none; update the agent, and let TLS pass through to it",
    );
  }
  const host = await enrolment.register({
    ...registration,
    facts,
    agentVersion: hello.agentVersion,
    address,
  });
  if (certificates === undefined || certificateRequest.length === 0) {
    return { host, hello, facts, wantsCertificate: false };
  }
  const issued = await certificates.issue(certificateRequest, host.agentId);
  const certificate = certificateRecordFrom(issued);
  return { host, hello, facts: { ...facts, certificate }, issued, wantsCertificate: false };
}

async function reconnect(
  { enrolment, certificates, certificate }: HandshakeParts,
  { nonce, signed, hello, address }: Introduction,
  { agentId }: Reconnection,
): Promise<Handshaken> {
  const attempt = { agentId, address };
  const host = await enrolment.returning(attempt);
  if (!(await provesKey({ publicKey: host.publicKey, nonce, ...signed }))) {
    throw enrolment.refuseReturn(attempt, "SIGNATURE", host);
  }
  welcomeable(hello);
  const verdict = certificates?.judge(certificate, agentId);
  if (verdict?.kind === "bad" && certificates?.required === true) {
    enrolment.refuseReturn(attempt, `CERTIFICATE_${verdict.cause}`, host);
    throw certificateRefusal(host, verdict.cause);
  }
  const facts = factsFrom(hello);
  if (facts.engineId !== host.engineId) {
    enrolment.refuseReturn(attempt, "ENGINE_CHANGED", host);
    throw new FleetError(
      "ENGINE_CHANGED",
      `the engine of host ${host.name} is another one than at its enrolment; if that is right, delete the host (fairlead hosts rm ${host.name}) and enrol it again`,
      { metadata: { enrolled_engine_id: host.engineId, engine_id: facts.engineId } },
    );
  }
  if (verdict?.kind !== "good") return { host, hello, facts, wantsCertificate: verdict !== undefined };
  const shown = certificateRecordFrom(verdict);
  return { host, hello, facts: { ...facts, certificate: shown }, wantsCertificate: !verdict.lasts };
}

const certificateFaults = {
  MISSING: "showed no certificate",
  UNTRUSTED: "showed a certificate that this control plane has not given it, or whose authority is retired",
  EXPIRED: "showed a certificate that is out of its time",
  OTHER_AGENT: "showed the certificate of another agent",
} as const;

function certificateRefusal({ name }: HostRecord, cause: keyof typeof certificateFaults): FleetError {
  return new FleetError(
    "CERTIFICATE_REQUIRED",
    `the agent of host ${name} ${certificateFaults[cause]}; enrol it again with a token made for this host (fairlead token create --host ${name})`,
    { metadata: { host_name: name, cause } },
  );
}

function signedHelloFrom(message: WireMessage): SignedHello {
  const request = decode(() => fromBinary(AgentStreamRequestSchema, message));
  if (request.message.case !== "hello") {
    throw violation(`the first message was ${request.message.case ?? "empty"}: expected a SignedHello`);
  }
  const violations = violationsOf(SignedHelloSchema, request.message.value);
  if (violations.length > 0) {
    throw new FleetError("INVALID_ARGUMENT", "the SignedHello breaks its bounds", { violations });
  }
  return request.message.value;
}

function helloFrom(bytes: Uint8Array): Hello {
  return decode(() => fromBinary(HelloSchema, bytes));
}

/** What only an agent that has proved its key is told. */
function welcomeable(hello: Hello): void {
  const { min, max } = protocolVersions;
  if (hello.protocolVersion < min || hello.protocolVersion > max) {
    throw new FleetError(
      "PROTOCOL_UNSUPPORTED",
      `the agent speaks protocol version ${hello.protocolVersion}, this control plane ${min} to ${max}; update the older of the two`,
      {
        metadata: {
          protocol_version: `${hello.protocolVersion}`,
          min_protocol_version: `${min}`,
          max_protocol_version: `${max}`,
        },
      },
    );
  }
  const violations = violationsOf(HelloSchema, hello);
  if (violations.length > 0) {
    throw new FleetError("INVALID_ARGUMENT", "the Hello breaks its bounds", { violations });
  }
}

function factsFrom({ hostFacts, hostPolicy, trustedAuthorityDigests }: Hello): HostFactsRecord {
  return {
    engineId: hostFacts?.engineId ?? "",
    hostname: hostFacts?.hostname ?? "",
    operatingSystem: hostFacts?.operatingSystem ?? "",
    kernelVersion: hostFacts?.kernelVersion ?? "",
    architecture: hostFacts?.architecture ?? "",
    engineVersion: hostFacts?.engineVersion ?? "",
    engineApiVersion: hostFacts?.engineApiVersion ?? "",
    cpuCount: hostFacts?.cpuCount ?? 0,
    memoryBytes: Number(hostFacts?.memoryBytes ?? 0n),
    simulated: hostFacts?.simulated ?? false,
    ...(hostPolicy === undefined ? {} : { policy: policyRecordFrom(hostPolicy) }),
    ...(trustedAuthorityDigests.length === 0 ? {} : { authorities: hexDigests(trustedAuthorityDigests) }),
  };
}

function decode<Message>(read: () => Message): Message {
  try {
    return read();
  } catch (error) {
    throw violation("a message that does not decode", error);
  }
}

function violation(what: string, cause?: unknown): FleetError {
  return new FleetError("PROTOCOL_VIOLATION", what, { cause });
}
