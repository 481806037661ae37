import { once } from "node:events";
import { readFileSync } from "node:fs";
import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getSecure } from "node:https";
import type { Interceptor, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { KeyFile } from "../../src/control-plane/access/key-file.ts";

/** Where an API is, and the authority that it is trusted by; without one it is plaintext. */
export interface ApiPlace {
  readonly baseUrl: string;
  readonly ca: string | undefined;
}

/** What a page was answered with. */
export interface Page {
  readonly status: number | undefined;
  readonly contentType: string | undefined;
  readonly text: string;
}

/** Every protocol of the API, by name, with a key for each call where one is given. */
export const protocols: Readonly<Record<string, (place: ApiPlace, key?: string) => Transport>> = {
  Connect: (place, key) => createConnectTransport(optionsFor(place, key)),
  gRPC: (place, key) => createGrpcTransport(optionsFor(place, key)),
  "gRPC-Web": (place, key) => createGrpcWebTransport(optionsFor(place, key)),
};

/** The protocol that is used where none is meant. */
export function connectTransport(place: ApiPlace, key?: string): Transport {
  return createConnectTransport(optionsFor(place, key));
}

/** Asks for a plain page, such as /readyz. */
export async function pageOf(
  { baseUrl, ca }: ApiPlace,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Page> {
  const url = new URL(path, baseUrl);
  const options = { headers, agent: false } as const;
  const request = ca === undefined ? getPlain(url, options) : getSecure(url, { ...options, ca });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const text = (await response.setEncoding("utf8").toArray()).join("");
  return { status: response.statusCode, contentType: response.headers["content-type"], text };
}

/** What a control plane wrote for its admin. */
export function keyFileOf(path: string): KeyFile {
  return JSON.parse(readFileSync(path, "utf8")) as KeyFile;
}

function optionsFor({ baseUrl, ca }: ApiPlace, key: string | undefined) {
  return {
    baseUrl,
    httpVersion: "1.1",
    nodeOptions: ca === undefined ? {} : { ca },
    interceptors: key === undefined ? [] : [presenting(key)],
  } as const;
}

/** Shows a key with every call. */
export function presenting(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
}
