import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Admission } from "./admission.ts";
import type { HealthStates } from "./health.ts";
import type { HttpRequest, HttpResponse } from "./http-port.ts";
import { type HttpProblem, httpProblemOf } from "./http-problem.ts";
import { leaveUnread } from "./refused-request.ts";

/** Reads the figures of `/metrics`. */
export type ReadMetrics = () => Promise<{ readonly contentType: string; readonly body: string }>;

/**
 * Answers everything that is not an RPC: to anybody `/healthz` (the process lives) and `/readyz` (all its parts serve);
 * to those who may read `/metrics`, a page at `/` that says what this is, and advice for everything else.
 */
export function createPlainPages(
  health: HealthStates,
  services: readonly DescService[],
  admission: Admission,
  metrics?: ReadMetrics,
): (request: HttpRequest, response: HttpResponse) => void {
  return (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0];
    const reads = request.method === "GET" || request.method === "HEAD";
    if (path === "/healthz" && reads) {
      send(response, 200, "text/plain; charset=utf-8", "ok\n");
    } else if (path === "/readyz" && reads) {
      sendReadiness(response, health);
    } else {
      void refusal(request, admission).then((refused) => {
        leaveUnread(request, response);
        if (refused !== undefined) {
          sendProblem(response, refused.status, refused.problem, refused.headers);
        } else if (path === "/" && reads) {
          send(response, 200, "text/plain; charset=utf-8", frontPage(request, services));
        } else if (path === "/metrics" && reads && metrics !== undefined) {
          void sendMetrics(response, metrics);
        } else {
          sendProblem(response, 404, {
            code: "not_found",
            message: `nothing is served at ${request.method} ${path}; RPCs are at POST /<service>/<method>`,
            services: services.map(({ typeName }) => typeName),
          });
        }
      });
    }
  };
}

async function refusal(request: HttpRequest, admission: Admission): Promise<HttpProblem | undefined> {
  const headers = new Headers();
  const { authorization } = request.headers;
  if (authorization !== undefined) headers.set("authorization", authorization);
  try {
    await admission.admitReader(headers, request.socket.remoteAddress ?? "");
    return undefined;
  } catch (error) {
    return httpProblemOf(error);
  }
}

/** Answers with a status and a JSON object, in the shape of a Connect error. */
export function sendProblem(
  response: HttpResponse,
  status: number,
  problem: Readonly<Record<string, unknown>> & { readonly code: string; readonly message: string },
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  send(response, status, "application/json", `${JSON.stringify(problem)}\n`, headers);
}

async function sendMetrics(response: HttpResponse, metrics: ReadMetrics): Promise<void> {
  try {
    const { contentType, body } = await metrics();
    send(response, 200, contentType, body);
  } catch {
    sendProblem(response, 500, { code: "internal", message: "the metrics could not be read" });
  }
}

function sendReadiness(response: HttpResponse, health: HealthStates): void {
  const state = health.get("");
  const body = { state, draining: health.draining, parts: health.parts() };
  send(response, state === "SERVING" ? 200 : 503, "application/json", `${JSON.stringify(body)}\n`);
}

function send(
  response: HttpResponse,
  status: number,
  contentType: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...headers,
    "content-type": contentType,
    "content-length": `${Buffer.byteLength(body)}`,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

function authorityOf(request: HttpRequest): string {
  const authority = "authority" in request ? request.authority : request.headers.host;
  // Printed into a command that somebody copies.
  return authority !== undefined && /^[\w.:[\]-]+$/.test(authority) ? authority : "localhost";
}

function frontPage(request: HttpRequest, services: readonly DescService[]): string {
  const authority = authorityOf(request);
  const isEncrypted = "encrypted" in request.socket;
  const origin = `${isEncrypted ? "https" : "http"}://${authority}`;
  const trust = isEncrypted ? "--cacert ca.crt " : "";
  const example = services.flatMap(({ methods }) => methods).find(isHarmless);
  const call = example === undefined ? "" : `${example.parent.typeName}/${example.name}`;
  return `Fairlead: a control plane for fleets of Docker hosts.

This port speaks Connect, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2.

Services:
${services.map(({ typeName }) => `  ${typeName}`).join("\n")}

Try:
  curl ${trust}-H 'content-type: application/json' -d '{}' ${origin}/${call}
  buf curl ${trust || "--http2-prior-knowledge "}--list-methods ${origin}
  buf curl ${trust || "--http2-prior-knowledge "}--protocol grpc ${origin}/${call}
  grpcurl ${trust === "" ? "-plaintext" : "-cacert ca.crt"} ${authority} list
With API keys, each with -H "authorization: Bearer $KEY", and buf curl with --reflect-header, too.

Metrics for Prometheus: /metrics
Health: /healthz, /readyz, and the standard gRPC health service.
`;
}

function isHarmless({ methodKind, idempotency }: DescMethod): boolean {
  return methodKind === "unary" && idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}
