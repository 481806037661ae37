import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { FleetError, isReason } from "../domain/errors.ts";
import type { FleetErrorDetails, Reason } from "../domain/errors.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";

/** The `domain` of every `google.rpc.ErrorInfo` that Fairlead sends. */
export const errorDomain = "fairlead.dev";

// Details travel in a header or a trailer, which peers bound to 64 KiB and less; whoever mends these sees the others.
const maxViolations = 64;

/** One detail of an error as it travels: the full name of a message, and the message. */
export interface EncodedDetail {
  /** For example "google.rpc.ErrorInfo". */
  readonly type: string;
  readonly value: Uint8Array;
}

/** One detail of an error before it is encoded. */
export interface ErrorDetail {
  readonly desc: DescMessage;
  readonly value: Message;
}

/**
 * What of an error travels beside its status: always `google.rpc.ErrorInfo`, `BadRequest` when it names fields, and
 * `RetryInfo` when waiting helps. The cause does not travel.
 */
export function messagesOfError(error: FleetError): ErrorDetail[] {
  const { reason, violations, retryAfterMs } = error;
  const metadata = { ...error.metadata };
  const info = create(ErrorInfoSchema, { reason, domain: errorDomain, metadata });
  const details: ErrorDetail[] = [{ desc: ErrorInfoSchema, value: info }];
  if (violations.length > 0) {
    const badRequest = create(BadRequestSchema, { fieldViolations: violations.slice(0, maxViolations) });
    details.push({ desc: BadRequestSchema, value: badRequest });
  }
  if (retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(Math.max(0, Math.round(retryAfterMs)));
    details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return details;
}

/** The same, encoded. */
export function detailsOfError(error: FleetError): EncodedDetail[] {
  return messagesOfError(error).map(({ desc, value }) => ({
    type: desc.typeName,
    value: toBinary(desc, value),
  }));
}

/**
 * The error that a peer sent. A reason that this version does not know, or none at all, becomes `fallback`; the
 * peer's own word is then kept in the metadata as "reason". Details that do not decode are passed over.
 */
export function errorFromDetails(
  message: string,
  details: readonly EncodedDetail[],
  fallback: Reason,
): FleetError {
  const info = find(details, ErrorInfoSchema);
  const ours = info?.domain === errorDomain ? info : undefined;
  const known = ours !== undefined && isReason(ours.reason) ? ours.reason : undefined;
  const unknown = ours !== undefined && known === undefined ? { reason: ours.reason } : {};
  const retryDelay = find(details, RetryInfoSchema)?.retryDelay;
  const violations = find(details, BadRequestSchema)?.fieldViolations ?? [];
  const kept: FleetErrorDetails = {
    metadata: { ...ours?.metadata, ...unknown },
    violations: violations.map(({ field, description }) => ({ field, description })),
    ...(retryDelay === undefined ? {} : { retryAfterMs: durationMs(retryDelay) }),
  };
  return new FleetError(known ?? fallback, message, kept);
}

function find<Desc extends DescMessage>(
  details: readonly EncodedDetail[],
  schema: Desc,
): MessageShape<Desc> | undefined {
  const detail = details.find(({ type }) => type === schema.typeName);
  if (detail === undefined) {
    return undefined;
  }
  try {
    return fromBinary(schema, detail.value);
  } catch {
    return undefined;
  }
}
