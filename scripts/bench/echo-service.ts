import type { MethodDefinition } from "@grpc/grpc-js";

const asItIs = (message: Buffer): Buffer => message;

/** The bare floor's one method: bytes both ways, without any schema. */
export const echoMethod: MethodDefinition<Buffer, Buffer> = {
  path: "/bench.Echo/Stream",
  requestStream: true,
  responseStream: true,
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: asItIs,
  responseDeserialize: asItIs,
};
