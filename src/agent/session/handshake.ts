import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FleetError } from "../../domain/errors.ts";
import {
  type Challenge,
  HelloSchema,
  type RegistrationSchema,
  type Welcome,
} from "../../gen/fairlead/agent/v1/handshake_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { operationNames } from "../../rpc/operation-traits.ts";
import type { EngineFacts } from "../engine/engine.ts";
import type { PolicyReport } from "../execution/policy/policy-file.ts";
import type { AgentKey } from "../identity/agent-key.ts";
import type { IdentityFile } from "../identity/identity-file.ts";
import type { AgentConnection, ControlMessage } from "./connection.ts";

/** What an agent says of itself. */
export interface HelloFacts {
  readonly identity: IdentityFile;
  /** The one of its keys to prove. */
  readonly key: AgentKey;
  /** Needed when the identity has no id yet. */
  readonly token: string | undefined;
  readonly name: string;
  readonly uniqueByName: boolean;
  readonly facts: EngineFacts;
  readonly agentVersion: string;
  readonly instanceId: Uint8Array;
  readonly journalId: Uint8Array;
  /** What the host's owner allows. Undefined: there is no policy. */
  readonly policy: PolicyReport | undefined;
  /** A request for a certificate, for a registration. Undefined: none is wanted. */
  readonly certificateRequest: Uint8Array | undefined;
  /** The authorities that it trusts, by their digests. */
  readonly trustedAuthorityDigests: readonly Uint8Array[];
  readonly runningIds: readonly string[];
  readonly heldIds: readonly string[];
}

/** The protocol that this agent speaks. */
export const protocolVersion = 1;

const signedPrefix = new TextEncoder().encode("fairlead-hello-v1\0");
const commandIdLength = 36;
// Of each kind; together with the rest within the 64 KiB of a Hello.
const maxIds = 350;
const maxAuthorities = 8;

/**
 * Proves who the agent is, and resolves to the welcome, with the moment by the monotonic clock before which it cannot have been said. Rejects with what the control plane answers instead, with
 * `PROTOCOL_UNSUPPORTED` when the two speak no common version, and `PROTOCOL_VIOLATION` for a message out of turn.
 */
export async function shakeHands(
  connection: AgentConnection,
  facts: HelloFacts,
  clock: Pick<Clock, "monotonic">,
  signal: AbortSignal,
): Promise<{ readonly welcome: Welcome; readonly askedMs: number }> {
  const challenge = await nextKnown(connection, signal);
  if (challenge.case !== "challenge") throw outOfTurn(challenge, "challenge");
  checkVersion(challenge.value);
  const hello = toBinary(HelloSchema, create(HelloSchema, helloFrom(facts)));
  const signature = facts.key.sign(Buffer.concat([signedPrefix, challenge.value.nonce, hello]));
  const askedMs = clock.monotonic();
  connection.send({ message: { case: "hello", value: { hello, signature } } });
  const welcome = await nextKnown(connection, signal);
  if (welcome.case !== "welcome") throw outOfTurn(welcome, "welcome");
  if (welcome.value.agentId === "") {
    throw new FleetError("PROTOCOL_VIOLATION", "the control plane's welcome names no agent");
  }
  return { welcome: welcome.value, askedMs };
}

async function nextKnown(connection: AgentConnection, signal: AbortSignal): Promise<ControlMessage> {
  for (;;) {
    const message = await connection.next(signal);
    if (message.case !== undefined) return message;
  }
}

function outOfTurn({ case: got }: ControlMessage, due: string): FleetError {
  return new FleetError("PROTOCOL_VIOLATION", `the control plane sent a ${got} where a ${due} was due`);
}

function checkVersion({ minProtocolVersion, maxProtocolVersion }: Challenge): void {
  if (minProtocolVersion <= protocolVersion && protocolVersion <= maxProtocolVersion) return;
  throw new FleetError(
    "PROTOCOL_UNSUPPORTED",
    `this agent speaks protocol version ${protocolVersion}, the control plane ${minProtocolVersion} to ${maxProtocolVersion}`,
  );
}

// A Hello takes ids of this form only; nothing else is ever sent by a control plane.
function isUsual(commandId: string): boolean {
  return commandId.length === commandIdLength;
}

function helloFrom(facts: HelloFacts): MessageInitShape<typeof HelloSchema> {
  const { agentId } = facts.identity;
  const runningCommandIds = facts.runningIds.filter(isUsual).slice(0, maxIds);
  return {
    identity:
      agentId === undefined
        ? { case: "registration", value: registrationFrom(facts) }
        : { case: "reconnection", value: { agentId } },
    hostFacts: facts.facts,
    agentVersion: facts.agentVersion,
    protocolVersion,
    capabilities: [...operationNames],
    instanceId: facts.instanceId,
    journalId: facts.journalId,
    runningCommandIds,
    trustedAuthorityDigests: facts.trustedAuthorityDigests.slice(0, maxAuthorities),
    ...(facts.policy === undefined
      ? {}
      : { hostPolicy: { ...facts.policy, summary: [...facts.policy.summary] } }),
    heldResultCommandIds: facts.heldIds.filter(isUsual).slice(0, maxIds),
  };
}

function registrationFrom({
  key,
  token,
  name,
  uniqueByName,
  certificateRequest,
}: HelloFacts): MessageInitShape<typeof RegistrationSchema> {
  return {
    token: token ?? "",
    publicKey: key.publicKey,
    displayName: name,
    uniqueByName,
    ...(certificateRequest && { certificateRequest }),
  };
}
