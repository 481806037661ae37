import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { ConnectRouter } from "@connectrpc/connect";
import * as v1 from "../gen/grpc/reflection/v1/reflection_pb.js";
import * as v1alpha from "../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { ReflectedFiles } from "./reflected-files.ts";

type Question = v1.ServerReflectionRequest["messageRequest"];
type Answer = NonNullable<MessageInitShape<typeof v1.ServerReflectionResponseSchema>["messageResponse"]>;

/**
 * Serves gRPC server reflection, v1 and v1alpha, over the services that `served` names: by it, tools call an API
 * without having its schema. Files come with all that they import. What is not there is answered in the stream, which
 * goes on.
 */
export function serveReflection(router: ConnectRouter, served: () => readonly DescService[]): void {
  let files: ReflectedFiles | undefined;
  const respond = (request: v1.ServerReflectionRequest): v1.ServerReflectionResponse => {
    // Made by the first question, because the router is still being filled when this is called.
    files ??= new ReflectedFiles(served());
    return create(v1.ServerReflectionResponseSchema, {
      validHost: request.host,
      originalRequest: request,
      messageResponse: answerTo(request.messageRequest, served(), files),
    });
  };
  router.service(v1.ServerReflection, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) yield respond(request);
    },
  });
  router.service(v1alpha.ServerReflection, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) yield alphaOf(respond(v1Of(request)));
    },
  });
}

// The two versions are the same message on the wire.
function v1Of(request: v1alpha.ServerReflectionRequest): v1.ServerReflectionRequest {
  const bytes = toBinary(v1alpha.ServerReflectionRequestSchema, request);
  return fromBinary(v1.ServerReflectionRequestSchema, bytes);
}

function alphaOf(response: v1.ServerReflectionResponse): v1alpha.ServerReflectionResponse {
  const bytes = toBinary(v1.ServerReflectionResponseSchema, response);
  return fromBinary(v1alpha.ServerReflectionResponseSchema, bytes);
}

function answerTo(question: Question, services: readonly DescService[], files: ReflectedFiles): Answer {
  switch (question.case) {
    case "fileByFilename":
      return fileAnswer(files.byName(question.value), `the file "${question.value}"`);
    case "fileContainingSymbol":
      return fileAnswer(files.bySymbol(question.value), `the symbol "${question.value}"`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      const found = files.byExtension(containingType, extensionNumber);
      return fileAnswer(found, `extension ${extensionNumber} of "${containingType}"`);
    }
    case "allExtensionNumbersOfType": {
      const extensionNumber = files.extensionNumbers(question.value);
      if (extensionNumber === undefined) return notFound(`the message "${question.value}"`);
      const value = { baseTypeName: question.value, extensionNumber };
      return { case: "allExtensionNumbersResponse", value };
    }
    case "listServices": {
      const service = services.map(({ typeName }) => ({ name: typeName })).toSorted(byName);
      return { case: "listServicesResponse", value: { service } };
    }
    case undefined:
      return errorAnswer(Code.InvalidArgument, "the request asks nothing that this server knows");
  }
}

function fileAnswer(fileDescriptorProto: Uint8Array[] | undefined, what: string): Answer {
  return fileDescriptorProto === undefined
    ? notFound(what)
    : { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return errorAnswer(Code.NotFound, `${what} is not part of this server's schema`);
}

function errorAnswer(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return one.name < other.name ? -1 : 1;
}
