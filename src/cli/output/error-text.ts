import { FleetError } from "../../domain/errors.ts";
import type { Reason } from "../../domain/errors.ts";
import { escapeText } from "./escape.ts";

/** What a program gets of an error, on standard error. */
export interface ErrorJson {
  readonly error: {
    /** A word of the closed list of reasons, or "USAGE" when the command line itself is wrong. */
    readonly reason: Reason | "USAGE";
    readonly message: string;
    readonly commandId?: string;
    /** What it was about, when the command line named several. */
    readonly subject?: string;
    readonly metadata: Readonly<Record<string, string>>;
    readonly violations: readonly { readonly field: string; readonly description: string }[];
    readonly retryAfterMs?: number;
  };
}

const advice: Partial<Record<Reason, string>> = {
  SERVER_UNREACHABLE:
    "Start one with `fairlead up`, or say where yours is with --server or FAIRLEAD_SERVER: https://… with TLS, http://… without.",
  UNAUTHENTICATED: "Set FAIRLEAD_API_KEY to a key that is valid.",
  PERMISSION_DENIED: "Use an API key with a role that may do this.",
  DENIED_BY_HOST_POLICY: "Only the owner of the host can allow it; `fairlead hosts get` shows the rules.",
  REQUEST_ID_REUSED: "Give every new request a --request-id of its own.",
  CURSOR_EXPIRED: "Run `fairlead events` to begin at the oldest event that is kept.",
  DEADLINE_EXCEEDED: "Nothing is undone: `fairlead commands get {command_id}` tells what became of it.",
  HOST_NOT_FOUND: "`fairlead hosts` lists the hosts.",
  HOST_AMBIGUOUS: "Say which with --host; `fairlead hosts` lists the hosts.",
  COMMAND_NOT_FOUND: "`fairlead commands ls` lists the commands that are kept.",
  TOKEN_NOT_FOUND: "`fairlead token ls` lists the tokens.",
  CONTAINER_NOT_FOUND: "`fairlead ps -a` lists all containers.",
  CONTAINER_AMBIGUOUS: "Write more of the id, or HOST/NAME.",
  IMAGE_NOT_FOUND: "Pull the image on that host first.",
  AGENT_OFFLINE: "`fairlead hosts` shows since when. --wait waits for it, --queue leaves the command for it.",
  ENGINE_UNAVAILABLE: "Look whether Docker runs on that host.",
  NAME_IN_USE: "Choose another --name, or remove the container that has it.",
  OUTCOME_UNKNOWN:
    "Nobody can know whether it took effect. Look at the container, with `fairlead inspect`, before you do it again; `fairlead commands get {command_id}` tells the rest.",
  PRECONDITION_FAILED: "Nothing was done. Look at the container again, and decide anew.",
  UNTRUSTED_SERVER:
    "Give the certificate of its authority with --ca, or a key file with --key-file, and call it by a name in its certificate.",
};

/**
 * An error as one sentence, with its reason and the id of its command, and a line of advice where there is one.
 * Everything is escaped. Ends with a line break.
 */
export function formatError(error: FleetError, subject?: string): string {
  const about = subject === undefined ? "" : `${subject}: `;
  // The message of a request that breaks the schema's bounds names them all already.
  const violations = error.violations
    .filter(({ description }) => !error.message.includes(description))
    .map(({ field, description }) => `${field} ${description}`);
  const sentence = `${about}${[error.message, ...violations].join("; ")}`;
  const commandId = error.metadata["command_id"];
  const errorId = error.metadata["error_id"];
  const facts = [
    error.reason,
    ...(commandId === undefined ? [] : [`command ${commandId}`]),
    ...(errorId === undefined ? [] : [`error ${errorId}`]),
  ].join(", ");
  const line = `fairlead: ${escapeText(sentence)} (${escapeText(facts)})\n`;
  const counsel = adviceFor(error);
  return counsel === undefined ? line : `${line}  ${escapeText(counsel)}\n`;
}

/** The same for programs. */
export function errorToJson(error: FleetError, subject?: string): ErrorJson {
  const { reason, message, metadata, violations, retryAfterMs } = error;
  const commandId = metadata["command_id"];
  return {
    error: {
      reason,
      message,
      ...(commandId === undefined ? {} : { commandId }),
      ...(subject === undefined ? {} : { subject }),
      metadata,
      violations,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  };
}

/** Whatever was thrown as a `FleetError`. What is none already is a fault of the command line itself. */
export function asFleetError(error: unknown): FleetError {
  if (error instanceof FleetError) {
    return error;
  }
  const message = error instanceof Error ? error.message : String(error);
  return new FleetError("INTERNAL", `the command line failed: ${message}`, { cause: error });
}

function adviceFor({ reason, metadata, retryAfterMs }: FleetError): string | undefined {
  if (retryAfterMs !== undefined) {
    return `Try again in ${Math.ceil(retryAfterMs / 1_000)} s.`;
  }
  const text = advice[reason];
  const commandId = metadata["command_id"];
  if (text?.includes("{command_id}") === true) {
    return commandId === undefined ? undefined : text.replaceAll("{command_id}", commandId);
  }
  return text;
}
