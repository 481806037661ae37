import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** A message as it is on the wire. */
export type WireMessage = Buffer;

const asItIs = (message: WireMessage): WireMessage => message;

/**
 * One method of a schema for `@grpc/grpc-js`, with messages left as bytes: whoever reads them decides what a message
 * that is too large or does not decode means, instead of a fixed INTERNAL.
 */
export function grpcMethod(method: DescMethod): MethodDefinition<WireMessage, WireMessage> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
    originalName: method.localName,
  };
}

/** A whole service of a schema for `@grpc/grpc-js`, its handlers named as in the generated code. */
export function grpcService(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, grpcMethod(method)]));
}

/** Bytes as `@grpc/grpc-js` wants them, without copying. */
export function wireMessage(bytes: Uint8Array): WireMessage {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
