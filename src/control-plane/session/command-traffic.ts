import type { Acceptance, CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { Hello } from "../../gen/fairlead/agent/v1/handshake_pb.js";
import type { FleetError } from "../../domain/errors.ts";
import type { AgentSession } from "./agent-session.ts";

/**
 * What sessions tell whoever sends commands over them. The calls of one session come in the order in which things happened, `opened`
 * first and `closed` last; none of them may throw.
 */
export interface CommandTraffic {
  /** Of the commands whose results an agent holds, those that have ended safely here, so that it may forget them. */
  settled(agentId: string, heldCommandIds: readonly string[]): Promise<string[]>;
  /** Who had this agent do a command. Undefined: it is unknown, or another agent's. Rejects with `STORAGE_UNAVAILABLE`. */
  callerOf(agentId: string, commandId: string): Promise<string | undefined>;
  /** The session may be used from now on. What the agent still knows is in its hello. */
  opened(session: AgentSession, hello: Hello): void;
  /** The agent has a command in its journal. */
  accepted(session: AgentSession, acceptance: Acceptance): void;
  /** A command has ended at the agent. */
  ended(session: AgentSession, result: CommandResult): void;
  /** A result came that breaks a bound. */
  invalid(session: AgentSession, commandId: string, error: FleetError): void;
  /** The session has ended. */
  closed(session: AgentSession, reason: FleetError): void;
}
