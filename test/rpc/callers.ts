import { execFile } from "node:child_process";
import { connect as connectHttp2 } from "node:http2";
import { promisify } from "node:util";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { Client, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Client as GrpcClient, credentials } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { fleetErrorFromGrpc } from "../../src/rpc/grpc-error.ts";

/** Every way of connect's own clients to call the API, by name. */
export const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "Connect over HTTP/1.1": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect over HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "Connect JSON over HTTP/1.1": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect with GET": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useHttpGet: true, useBinaryFormat: false }),
  "gRPC over HTTP/2": (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web over HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC-Web over HTTP/2": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
};

export function clientOf<Service extends DescService>(
  service: Service,
  transport: Transport,
): Client<Service> {
  return createClient(service, transport);
}

/** One unary call by grpc-js, a client that shares no code with the server. Rejects with a `FleetError`. */
export async function callByGrpcJs<Method extends DescMethod & { input: DescMessage; output: DescMessage }>(
  authority: string,
  method: Method,
  request: MessageShape<Method["input"]>,
): Promise<MessageShape<Method["output"]>> {
  const client = new GrpcClient(authority, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/${method.parent.typeName}/${method.name}`,
        (message: MessageShape<Method["input"]>) => Buffer.from(toBinary<DescMessage>(method.input, message)),
        (bytes: Buffer) => fromBinary<Method["output"]>(method.output, bytes),
        request,
        (error: ServiceError | null, response?: MessageShape<Method["output"]>) => {
          if (error !== null || response === undefined) reject(fleetErrorFromGrpc(error));
          else resolve(response);
        },
      );
    });
  } finally {
    client.close();
  }
}

/** Runs a command line and gives what it prints. Rejects, with that in the message, when it fails. */
export async function run(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { timeout: 8000 });
  return stdout;
}

/** What a promise rejects with. Rejects itself when it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => Promise.reject(new Error("it succeeded, and should not have")),
    (error: unknown) => error,
  );
}

/** Posts bytes over plaintext HTTP/2, and gives the body and the trailers of the answer as one text. */
export async function postByHttp2(url: string, contentType: string, body: Uint8Array): Promise<string> {
  const { origin, pathname } = new URL(url);
  const session = connectHttp2(origin);
  try {
    return await new Promise((resolve, reject) => {
      const stream = session.request({ ":method": "POST", ":path": pathname, "content-type": contentType });
      const lines: string[] = [];
      stream.setEncoding("latin1");
      stream.on("data", (chunk: string) => lines.push(chunk));
      stream.on("trailers", (trailers) => {
        for (const [name, value] of Object.entries(trailers)) lines.push(`${name}: ${String(value)}`);
      });
      stream.on("end", () => resolve(lines.join("\n")));
      stream.on("error", reject);
      stream.end(body);
    });
  } finally {
    session.close();
  }
}
