import { FleetError, type Reason } from "../../domain/errors.ts";

interface Rule {
  /** Undefined: whatever the status. */
  readonly status?: number;
  /** Undefined: whatever the words. */
  readonly words?: RegExp;
  readonly reason: Reason;
}

/**
 * What an answer of the engine means; the first rule that fits counts. Words are looked at only where the status does not
 * say enough, or where engines of different versions answer the same thing with different ones.
 */
const rules: readonly Rule[] = [
  { words: /multiple ids found with provided prefix/i, reason: "CONTAINER_AMBIGUOUS" },
  { words: /is already in use by container/i, reason: "NAME_IN_USE" },
  { status: 404, words: /no such container/i, reason: "CONTAINER_NOT_FOUND" },
  { status: 404, words: /no such image/i, reason: "IMAGE_NOT_FOUND" },
  { status: 404, words: /could not find the file|no such file or directory/i, reason: "PATH_NOT_FOUND" },
  { words: /is marked read-only/i, reason: "CONFLICT" },
  // A network that is gone, for a container that needs it.
  { status: 404, words: /network .*not found/i, reason: "CONFLICT" },
  { words: /does not support signal|invalid signal/i, reason: "INVALID_ARGUMENT" },
  // What `ps` says to options that it does not know, or that leave out what Docker needs.
  { words: /^ps: |couldn't find PID field in ps output/i, reason: "INVALID_ARGUMENT" },
  { words: /port is already allocated|address already in use/i, reason: "CONFLICT" },
  { words: /container \S+ is not (paused|running)|is already paused/i, reason: "CONFLICT" },
  { status: 400, reason: "INVALID_ARGUMENT" },
  { status: 409, reason: "CONFLICT" },
];

/** What the engine refused, in its own words. */
export function failureFromAnswer(status: number, text: string): FleetError {
  const message = wordsOf(text) || `the engine answered with status ${status}`;
  const rule = rules.find(
    (rule) => (rule.status ?? status) === status && (rule.words === undefined || rule.words.test(message)),
  );
  return new FleetError(rule?.reason ?? "ENGINE_FAILED", message, {
    metadata: { engine_status: `${status}` },
  });
}

function wordsOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message.trim() : "";
  } catch {
    // A proxy in front of the engine answers as it likes.
    return text.trim().slice(0, 1024);
  }
}

/**
 * What a call means that got no answer, or half of one. Only a call that was certainly never sent, or that changes nothing,
 * is `ENGINE_UNAVAILABLE` and may be repeated; what broke later is `OUTCOME_UNKNOWN`.
 */
export function failureFromBrokenCall(error: unknown, mutating: boolean, address: string): FleetError {
  const details = { metadata: { engine: address }, cause: error };
  const words = error instanceof Error ? error.message : String(error);
  if (neverConnected(error)) {
    const advice = adviceByCode[codeOf(error)];
    const message = `cannot reach the Docker Engine at ${address}: ${words || codeOf(error)}`;
    return new FleetError("ENGINE_UNAVAILABLE", advice ? `${message} (${advice})` : message, details);
  }
  return mutating
    ? new FleetError(
        "OUTCOME_UNKNOWN",
        `the connection to the Docker Engine broke before it answered, so nobody knows whether it did it: ${words}`,
        details,
      )
    : new FleetError("ENGINE_UNAVAILABLE", `the connection to the Docker Engine broke: ${words}`, details);
}

const adviceByCode: Readonly<Record<string, string>> = {
  ENOENT: "is Docker installed and running?",
  ECONNREFUSED: "is the engine running?",
  EACCES: "run as root, or as a member of the group that owns the socket, often docker",
  ENOTFOUND: "is the host's name right?",
};

/** Failures of a TLS handshake, which comes before the request; an alert later on could be anything. */
const handshakeFailure = new RegExp(
  "^(CERT_.*|UNABLE_TO_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|ERR_TLS_CERT_ALTNAME_INVALID|ERR_SSL_WRONG_VERSION_NUMBER" +
    "|ERR_SSL_.*ALERT_(CERTIFICATE_REQUIRED|UNKNOWN_CA|BAD_CERTIFICATE|HANDSHAKE_FAILURE|PROTOCOL_VERSION))$",
);

function neverConnected(error: unknown): boolean {
  if (error instanceof AggregateError) {
    return error.errors.length > 0 && error.errors.every(neverConnected);
  }
  const { syscall, message = "" } = error as NodeJS.ErrnoException;
  return (
    syscall === "connect" ||
    syscall === "getaddrinfo" ||
    handshakeFailure.test(codeOf(error)) ||
    message.startsWith("Client network socket disconnected before secure TLS connection")
  );
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** Whether there is no such container. */
export function isGone(error: unknown): boolean {
  return error instanceof FleetError && error.reason === "CONTAINER_NOT_FOUND";
}

/** Whether it is a conflict that the engine tells in such words. */
export function isConflict(error: unknown, words: RegExp): boolean {
  return error instanceof FleetError && error.reason === "CONFLICT" && words.test(error.message);
}
