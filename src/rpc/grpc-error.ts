import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata, type ServiceError, status as grpcStatus } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { FleetError, type Reason } from "../domain/errors.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";
import { unexpected } from "./connect-error.ts";
import { detailsOfError, errorFromDetails } from "./error-details.ts";
import { reasonOfStatus, statusOfReason } from "./status-of-reason.ts";

// google.rpc.Status travels in this trailer, by the convention that every gRPC implementation shares.
const detailsTrailer = "grpc-status-details-bin";
/** What a grpc-js server sends as the end of a stream. */
export type GrpcError = Error & Pick<ServiceError, "details" | "metadata"> & { readonly code: number };

const typePrefix = "type.googleapis.com/";

/** The error that ends a grpc-js stream: `call.emit("error", …)` on a server. Whatever is not a `FleetError` becomes INTERNAL with an id. */
export function grpcErrorFrom(error: unknown, logger: Logger): GrpcError {
  const known = error instanceof FleetError ? error : unexpected(error, logger);
  const code = statusOfReason[known.reason];
  const details = detailsOfError(known).map(({ type, value }) => ({
    $typeName: "google.protobuf.Any" as const,
    typeUrl: `${typePrefix}${type}`,
    value,
  }));
  // grpc-js escapes the text with encodeURI, which throws, outside of anybody's reach, when half a character is in it.
  const message = known.message.toWellFormed();
  const status = create(StatusSchema, { code, message, details });
  const metadata = new Metadata();
  metadata.set(detailsTrailer, Buffer.from(toBinary(StatusSchema, status)));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/**
 * The error that ended a grpc-js stream at the client. What came with no reason of ours is told by its status: a connection
 * that failed or broke is `SESSION_LOST`.
 */
export function fleetErrorFromGrpc(error: unknown): FleetError {
  if (error instanceof FleetError) return error;
  if (!isServiceError(error)) {
    return new FleetError("SESSION_LOST", error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
  const details = encodedDetails(error.metadata);
  const fallback: Reason =
    error.code === grpcStatus.UNAVAILABLE || error.code === grpcStatus.CANCELLED
      ? "SESSION_LOST"
      : (new Map<number, Reason>(
          Object.entries(reasonOfStatus).map(([code, reason]) => [Number(code), reason]),
        ).get(error.code) ?? "SESSION_LOST");
  return errorFromDetails(error.details || error.message, details, fallback);
}

function encodedDetails(metadata: Metadata | undefined): { type: string; value: Uint8Array }[] {
  const packed = metadata?.get(detailsTrailer)[0];
  if (!Buffer.isBuffer(packed)) return [];
  try {
    return fromBinary(StatusSchema, packed).details.map((detail) => ({
      type: detail.typeUrl.slice(typePrefix.length),
      value: detail.value,
    }));
  } catch {
    return [];
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}
