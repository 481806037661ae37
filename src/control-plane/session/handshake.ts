import { randomBytes } from "node:crypto";
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
import type { Enrolment } from "../enrolment/enrolment.ts";
import { provesKey } from "../enrolment/hello-proof.ts";
import { type AgentCall, nextMessage, sendMessage } from "./agent-call.ts";
import { hexDigests } from "./authority-news.ts";
import { policyRecordFrom } from "./policy-news.ts";

/** The protocol versions that this control plane speaks. */
export const protocolVersions = { min: 1, max: 1 } as const;

/** An agent that has proved who it is. */
export interface Handshaken {
  readonly host: HostRecord;
  readonly hello: Hello;
  readonly facts: HostFactsRecord;
}

/**
 * Challenges whoever opened the stream, and finds out who it is: a new host that a registration token brings in, or one
 * that was here before. Nothing is told that an agent has not earned by proving its key. Rejects with the signal's reason when
 * the hello takes too long.
 */
export async function shakeHands(
  call: AgentCall,
  { enrolment, clock }: { readonly enrolment: Enrolment; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Handshaken> {
  const nonce = randomBytes(32);
  const { min, max } = protocolVersions;
  sendMessage(call, {
    case: "challenge",
    value: {
      nonce,
      minProtocolVersion: min,
      maxProtocolVersion: max,
      serverTime: timestampFromMs(clock.now()),
    },
  });
  const signed = signedHelloFrom(await nextMessage(call, signal));
  const hello = helloFrom(signed.hello);
  const caller: Introduction = { nonce, signed, hello, address: call.getPeer() };
  switch (hello.identity.case) {
    case "registration":
      return register(enrolment, caller, hello.identity.value);
    case "reconnection":
      return reconnect(enrolment, caller, hello.identity.value);
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
  enrolment: Enrolment,
  { nonce, signed, hello, address }: Introduction,
  registration: Registration,
): Promise<Handshaken> {
  const facts = factsFrom(hello);
  if (!(await provesKey({ publicKey: registration.publicKey, nonce, ...signed }))) {
    throw enrolment.refuseSignature({ address, facts });
  }
  welcomeable(hello);
  const host = await enrolment.register({
    ...registration,
    facts,
    agentVersion: hello.agentVersion,
    address,
  });
  return { host, hello, facts };
}

async function reconnect(
  enrolment: Enrolment,
  { nonce, signed, hello, address }: Introduction,
  { agentId }: Reconnection,
): Promise<Handshaken> {
  const attempt = { agentId, address };
  const host = await enrolment.returning(attempt);
  if (!(await provesKey({ publicKey: host.publicKey, nonce, ...signed }))) {
    throw enrolment.refuseReturn(attempt, "SIGNATURE", host);
  }
  welcomeable(hello);
  const facts = factsFrom(hello);
  if (facts.engineId !== host.engineId) {
    enrolment.refuseReturn(attempt, "ENGINE_CHANGED", host);
    throw new FleetError(
      "ENGINE_CHANGED",
      `the engine of host ${host.name} is another one than at its enrolment; if that is right, delete the host (fairlead hosts rm ${host.name}) and enrol it again`,
      { metadata: { enrolled_engine_id: host.engineId, engine_id: facts.engineId } },
    );
  }
  return { host, hello, facts };
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
