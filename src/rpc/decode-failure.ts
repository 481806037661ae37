import { Code, ConnectError } from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";

// How connect begins the text of its error for a body that is not the protobuf message that it should be, or not compressed as it says.
const decodeFailures = ["parse binary: ", "decompression failed"];
const trailerFlag = 0x80;
const envelopeHeadBytes = 5;

/** Whether an error says that the caller's bytes do not decode. */
export function isDecodeFailure(error: unknown): error is ConnectError {
  return (
    error instanceof ConnectError && error.code === Code.Internal && tellsDecodeFailure(error.rawMessage)
  );
}

/**
 * A body that does not decode is the caller's fault, but connect calls it INTERNAL, and for unary RPCs does so before
 * any interceptor runs. This says INVALID_ARGUMENT in the answer instead, in the words of each protocol. Streams are
 * left as they are; the validation interceptor sees theirs.
 */
export async function answerOf(
  handler: UniversalHandler,
  request: UniversalServerRequest,
): Promise<UniversalServerResponse> {
  const answer = await handler(request);
  if (handler.method.methodKind !== "unary" || answer.body === undefined) return answer;
  const contentType = answer.header?.get("content-type") ?? "";
  if (contentType.startsWith("application/grpc-web")) {
    return { ...answer, body: amendedGrpcWeb(answer.body) };
  }
  if (contentType.startsWith("application/grpc")) {
    return { ...answer, body: amendingGrpc(answer.body, answer.trailer) };
  }
  return answer.status === 500 ? amendedConnect(answer, answer.body) : answer;
}

function tellsDecodeFailure(message = ""): boolean {
  return decodeFailures.some((beginning) => message.startsWith(beginning));
}

async function* amendingGrpc(body: AsyncIterable<Uint8Array>, trailer: Headers | undefined) {
  yield* body;
  // Complete only now.
  const message = decodeURIComponent(trailer?.get("grpc-message") ?? "");
  if (trailer?.get("grpc-status") === `${Code.Internal}` && tellsDecodeFailure(message)) {
    trailer.set("grpc-status", `${Code.InvalidArgument}`);
  }
}

async function* amendedGrpcWeb(body: AsyncIterable<Uint8Array>) {
  for await (const chunk of body) yield chunk[0] === trailerFlag ? amendedTrailers(chunk) : chunk;
}

function amendedTrailers(envelope: Uint8Array): Uint8Array {
  const trailers = new TextDecoder().decode(envelope.subarray(envelopeHeadBytes));
  const message = /^grpc-message: *(.*?)\r?$/im.exec(trailers)?.[1] ?? "";
  if (!tellsDecodeFailure(decodeURIComponent(message))) return envelope;
  const amended = Buffer.from(trailers.replace(/^(grpc-status: *)13(\r?)$/im, `$1${Code.InvalidArgument}$2`));
  const head = Buffer.from([trailerFlag, 0, 0, 0, 0]);
  head.writeUInt32BE(amended.byteLength, 1);
  return Buffer.concat([head, amended]);
}

async function amendedConnect(
  answer: UniversalServerResponse,
  body: AsyncIterable<Uint8Array>,
): Promise<UniversalServerResponse> {
  const bytes = Buffer.concat(await Array.fromAsync(body));
  const problem = problemIn(bytes);
  if (!tellsDecodeFailure(problem?.message)) return { ...answer, body: once(bytes) };
  const amended = Buffer.from(JSON.stringify({ ...problem, code: "invalid_argument" }));
  const header = new Headers(answer.header);
  header.set("content-length", `${amended.byteLength}`);
  return { ...answer, status: 400, header, body: once(amended) };
}

function problemIn(bytes: Buffer): { readonly message?: string } | undefined {
  try {
    return JSON.parse(bytes.toString()) as { message?: string };
  } catch {
    // Compressed: then it is longer than the one that is looked for.
    return undefined;
  }
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}
