import assert from "node:assert/strict";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import type { FileRegistry } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import * as v1 from "../../src/gen/grpc/reflection/v1/reflection_pb.js";
import * as v1alpha from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.js";
import { closeApis, startApi } from "./api-harness.ts";
import { clientOf, run, transports } from "./callers.ts";

type Question = Exclude<v1.ServerReflectionRequest["messageRequest"], { case: undefined }>;
type Answer = v1.ServerReflectionResponse["messageResponse"];

const grpcTo = transports["gRPC over HTTP/2"] ?? assert.fail();
const services = [
  "fairlead.container.v1.ContainerService",
  "fairlead.container.v1.FileService",
  "fairlead.event.v1.EventService",
  "fairlead.host.v1.HostService",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
];
const getHost = "fairlead.host.v1.HostService/GetHost";

describe("reflection", () => {
  afterEach(closeApis);

  it("lists the services that are served", async () => {
    const { url } = await startApi();
    const [answer] = await askAll(url, [{ case: "listServices", value: "" }]);
    assert.ok(answer?.case === "listServicesResponse");
    assert.deepEqual(
      answer.value.service.map(({ name }) => name),
      services,
    );
  });

  it("gives files with all that they import, so that a whole schema can be built from them", async () => {
    const { url } = await startApi();
    const [bySymbol, byName] = await askAll(url, [
      { case: "fileContainingSymbol", value: "fairlead.container.v1.ContainerService" },
      { case: "fileByFilename", value: "fairlead/host/v1/host_service.proto" },
    ]);
    const containers = registryOf(bySymbol);
    assert.ok(containers.getService("fairlead.container.v1.ContainerService"));
    for (const name of [
      "buf.validate.FieldRules",
      "google.protobuf.FieldOptions",
      "google.protobuf.Timestamp",
    ]) {
      assert.ok(containers.getMessage(name), name);
    }
    assert.ok(containers.getExtension("fairlead.access.v1.required_role"));
    assert.ok(containers.getExtension("buf.validate.field"));
    assert.ok(registryOf(byName).getService("fairlead.host.v1.HostService"));
  });

  it("finds the file of every kind of symbol", async () => {
    const { url } = await startApi();
    const symbols = [
      "fairlead.host.v1.Host",
      "fairlead.host.v1.Host.labels",
      "fairlead.host.v1.HostService.GetHost",
      "fairlead.access.v1.Role",
      "fairlead.access.v1.ROLE_ADMIN",
      "fairlead.access.v1.required_role",
      "fairlead.container.v1.PortBinding.Protocol",
      "grpc.reflection.v1.ServerReflectionRequest.message_request",
      ".google.protobuf.Timestamp",
    ];
    const answers = await askAll(
      url,
      symbols.map((value) => ({ case: "fileContainingSymbol", value })),
    );
    assert.deepEqual(
      symbols.filter((_symbol, index) => answers[index]?.case !== "fileDescriptorResponse"),
      [],
    );
  });

  it("finds extensions, by number and all of them", async () => {
    const { url } = await startApi();
    const containingType = "google.protobuf.MethodOptions";
    const [file, numbers, none] = await askAll(url, [
      {
        case: "fileContainingExtension",
        value: { $typeName: extensionRequest, containingType, extensionNumber: 51001 },
      },
      { case: "allExtensionNumbersOfType", value: containingType },
      { case: "allExtensionNumbersOfType", value: "fairlead.host.v1.Host" },
    ]);
    assert.ok(registryOf(file).getExtension("fairlead.access.v1.required_role"));
    assert.ok(numbers?.case === "allExtensionNumbersResponse");
    assert.deepEqual(numbers.value.extensionNumber, [51001]);
    assert.ok(none?.case === "allExtensionNumbersResponse");
    assert.deepEqual(none.value.extensionNumber, []);
  });

  it("answers what is not there with NOT_FOUND, and goes on", async () => {
    const { url } = await startApi();
    const answers = await askAll(url, [
      { case: "fileByFilename", value: "nowhere.proto" },
      { case: "fileContainingSymbol", value: "no.Such" },
      {
        case: "fileContainingExtension",
        value: { $typeName: extensionRequest, containingType: "a.B", extensionNumber: 1 },
      },
      { case: "allExtensionNumbersOfType", value: "a.B" },
      { case: "listServices", value: "" },
    ]);
    for (const answer of answers.slice(0, 4)) {
      assert.ok(answer.case === "errorResponse");
      assert.equal(answer.value.errorCode, Code.NotFound);
    }
    assert.equal(answers[4]?.case, "listServicesResponse");
  });

  it("speaks v1alpha too, for older tools", async () => {
    const { url } = await startApi();
    const answers: v1alpha.ServerReflectionResponse[] = [];
    const client = clientOf(v1alpha.ServerReflection, grpcTo(url));
    for await (const answer of client.serverReflectionInfo(alphaRequests())) answers.push(answer);
    assert.equal(answers[0]?.messageResponse.case, "listServicesResponse");
    assert.equal(answers[1]?.messageResponse.case, "fileDescriptorResponse");
    assert.equal(answers[1]?.originalRequest?.messageRequest.case, "fileContainingSymbol");
  });

  for (const reflection of ["grpc-v1", "grpc-v1alpha"]) {
    it(`buf curl lists services and methods, and calls one over each protocol, by ${reflection}`, async function () {
      this.timeout(30_000);
      const { url } = await startApi({ hosts: { getHost: ({ host }) => ({ host: { name: host } }) } });
      assert.deepEqual((await curl(reflection, "--list-services", url)).trim().split("\n"), services);
      assert.match(await curl(reflection, "--list-methods", url), new RegExp(getHost));
      for (const protocol of ["connect", "grpc", "grpcweb"]) {
        const answer = await curl(
          reflection,
          "--protocol",
          protocol,
          "-d",
          '{"host":"alpha"}',
          `${url}/${getHost}`,
        );
        assert.deepEqual(JSON.parse(answer), { host: { name: "alpha" } });
      }
    });
  }
});

const extensionRequest = "grpc.reflection.v1.ExtensionRequest" as const;

function registryOf(answer: Answer | undefined): FileRegistry {
  assert.ok(answer?.case === "fileDescriptorResponse");
  const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  const importsFirst = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto): void => {
    for (const name of file.dependency) add(files.find((one) => one.name === name) ?? assert.fail(name));
    importsFirst.add(file);
  };
  add(files[0] ?? assert.fail("no file"));
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...importsFirst] }));
}

function curl(reflection: string, ...args: string[]): Promise<string> {
  return run("buf", ["curl", "--http2-prior-knowledge", "--reflect-protocol", reflection, ...args]);
}

/** Asks everything in one stream. */
async function askAll(url: string, questions: readonly Question[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  const requests = async function* () {
    for (const messageRequest of questions) yield { messageRequest };
  };
  for await (const response of clientOf(v1.ServerReflection, grpcTo(url)).serverReflectionInfo(requests())) {
    answers.push(response.messageResponse);
  }
  return answers;
}

async function* alphaRequests() {
  yield { messageRequest: { case: "listServices" as const, value: "" } };
  yield { messageRequest: { case: "fileContainingSymbol" as const, value: "fairlead.host.v1.Host" } };
}
