import type { FleetError, Reason } from "../../domain/errors.ts";

// What trying again in a hurry cannot mend, and what a person can do about it.
const advice: Partial<Record<Reason, string>> = {
  AGENT_REVOKED:
    "this agent was revoked or its host deleted; to enrol the host again, remove agent.json from the data folder and start with a new token",
  IDENTITY_IN_USE:
    "another process uses this agent's identity; stop it, or if this machine is a copy of another, remove agent.json here and enrol it with a token of its own",
  CERTIFICATE_REQUIRED:
    "the control plane lets agents in only with a certificate that it gave them, and this one's is missing or over; create a token made for this host (fairlead token create --host), remove agent.json from the data folder and start with that token",
  UNTRUSTED_SERVER:
    "this is not the control plane that the token was made by, or something between the two ends TLS; check the address, and create the token at the control plane that listens there",
  PROTOCOL_UNSUPPORTED: "update the agent or the control plane, so that both speak a common protocol version",
  ENGINE_CHANGED:
    "this identity belongs to another Docker Engine; point the agent at that engine, or remove agent.json and enrol this one with a new token",
  ENGINE_ALREADY_ENROLLED:
    "a host with this engine is enrolled already; if this is that host, enrol it with a token made for it (fairlead token create --host), or if this machine is a copy of it, enrol with a name of its own (unique by name)",
  ENGINE_BANNED:
    "this engine was banned from the fleet; whoever runs the control plane has to lift the ban before it can be enrolled",
  HOST_NAME_IN_USE: "choose another name for this host",
  HOST_NAME_REQUIRED: "give this host a name of its own",
  UNAUTHENTICATED:
    "the control plane knows neither this token nor this identity; create a new token, and for a host that was enrolled before remove agent.json",
  PERMISSION_DENIED: "the control plane does not allow it; ask whoever runs it",
  INVALID_ARGUMENT: "the control plane does not accept what this agent says of itself",
};

/** What to do about a refusal that trying again in a hurry cannot mend. Undefined: it passes by itself. */
export function adviceOn(refusal: FleetError): string | undefined {
  return advice[refusal.reason];
}
