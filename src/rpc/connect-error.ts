import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { FleetError } from "../domain/errors.ts";
import { errorFromDetails, messagesOfError } from "./error-details.ts";
import type { EncodedDetail } from "./error-details.ts";
import { reasonOfStatus, statusOfReason } from "./status-of-reason.ts";

/**
 * What the caller gets for whatever a handler threw. A `FleetError` travels with its reason and details; what the
 * protocol itself refused keeps its status. Everything else is a bug: the caller gets `INTERNAL`, a fixed text and
 * an error id, and the log gets the same id with the error. Given the signal of the call, a mere "aborted" becomes
 * the signal's reason: the deadline, the caller who left, or the drain.
 */
export function connectErrorFrom(error: unknown, logger: Logger, signal?: AbortSignal): ConnectError {
  if (error instanceof FleetError) {
    return encode(error);
  }
  if (error instanceof ConnectError && !speaksOfInnards(error)) {
    return withReason(error);
  }
  if (isAbort(error)) {
    const reason: unknown = signal?.reason;
    return signal?.aborted === true && !isAbort(reason)
      ? connectErrorFrom(reason, logger)
      : encode(cancellation(error));
  }
  return encode(unexpected(error, logger));
}

/**
 * The error that a server answered, for a client. A reason of a newer server becomes the one nearest to its status,
 * with the server's text, and its own word in the metadata as "reason". Whatever is not a `ConnectError` is taken as
 * one first.
 */
export function fleetErrorFrom(error: unknown): FleetError {
  if (error instanceof FleetError) {
    return error;
  }
  const answered = ConnectError.from(error);
  return errorFromDetails(answered.rawMessage, encodedDetails(answered), reasonOfStatus[answered.code]);
}

/**
 * What everybody is told of an error that nobody foresaw: a fixed text and an id. The error itself, with its stack,
 * goes to the log under the same id.
 */
export function unexpected(error: unknown, logger: Logger): FleetError {
  const errorId = randomUUID();
  logger.error({ err: error, errorId }, "unexpected error");
  return new FleetError(
    "INTERNAL",
    "an unexpected error happened; the server's log has it under this error id",
    {
      metadata: { error_id: errorId },
    },
  );
}

function encode(error: FleetError): ConnectError {
  const encoded = new ConnectError(error.message, statusOfReason[error.reason], undefined, undefined, error);
  // Not yet encoded, so that connect shows them readably to callers who speak JSON.
  encoded.details = messagesOfError(error);
  return encoded;
}

/** What the protocol refused by itself, with the reason that says the same, where there is one. */
function withReason(error: ConnectError): ConnectError {
  const reason = reasonOfStatus[error.code];
  if (error.details.length > 0 || statusOfReason[reason] !== error.code) return error;
  const encoded = encode(new FleetError(reason, error.rawMessage, { cause: error }));
  for (const [name, value] of error.metadata) encoded.metadata.append(name, value);
  return encoded;
}

function encodedDetails(error: ConnectError): EncodedDetail[] {
  return error.details.map((detail) =>
    "desc" in detail
      ? { type: detail.desc.typeName, value: toBinary(detail.desc, create(detail.desc, detail.value)) }
      : { type: detail.type, value: detail.value },
  );
}

/** Without details such errors are made of foreign exceptions' texts, which may name paths, statements or secrets. */
function speaksOfInnards({ code, details }: ConnectError): boolean {
  return (code === Code.Internal || code === Code.Unknown) && details.length === 0;
}

function isAbort(error: unknown): error is Error {
  return error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
}

function cancellation(error: Error): FleetError {
  return error.name === "TimeoutError"
    ? new FleetError("DEADLINE_EXCEEDED", "the deadline of the call passed")
    : new FleetError("CANCELLED", "the call was cancelled");
}
