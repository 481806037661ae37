import { createContextValues } from "@connectrpc/connect";
import type { ConnectRouter } from "@connectrpc/connect";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import type { Logger } from "pino";
import { shortenTimeout } from "./call-timeout.ts";
import type { Admission } from "./admission.ts";
import { callerKey, peerAddressKey, refusalKey } from "./caller.ts";
import { unexpected } from "./connect-error.ts";
import { answerOf } from "./decode-failure.ts";
import type { HttpPatience, HttpRequest, HttpResponse } from "./http-port.ts";
import { httpProblemOf } from "./http-problem.ts";
import { sendProblem } from "./plain-pages.ts";
import { endLateBody } from "./late-body.ts";
import { leaveUnread, withoutBody } from "./refused-request.ts";
import { writeResponse } from "./universal-response.ts";

/** What a listener needs. */
export interface ListenerParts {
  readonly admission: Admission;
  readonly logger: Logger;
  readonly patience: Pick<HttpPatience, "requestMs" | "slowClientMs">;
}

/**
 * Answers requests by the handlers of a router, and all others by `otherwise`. In place of connect's own adapter,
 * which throws into the event loop for a request with an odd `Host`, and writes to the console. Never throws.
 */
export function createConnectListener(
  router: ConnectRouter,
  parts: ListenerParts,
  otherwise: (request: HttpRequest, response: HttpResponse) => void,
): (request: HttpRequest, response: HttpResponse) => void {
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const handler = handlers.get(pathOf(request));
    if (handler === undefined) {
      endLateBody(undefined, request, parts.patience.requestMs);
      otherwise(request, response);
      return;
    }
    serve({ ...parts, handler }, request, response).catch((error: unknown) => {
      if (response.writableEnded || response.destroyed) return;
      const { message, metadata } = unexpected(error, parts.logger);
      sendProblem(response, 500, { code: "internal", message, ...metadata });
    });
  };
}

/** The path of a request, without its query. */
export function pathOf(request: HttpRequest): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

interface Serving extends ListenerParts {
  readonly handler: UniversalHandler;
}

async function serve(
  { handler, admission, logger, patience }: Serving,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  const address = request.socket.remoteAddress ?? "";
  const values = createContextValues().set(peerAddressKey, address);
  let universal: UniversalServerRequest;
  try {
    universal = universalRequestFromNodeRequest(request, response, undefined, values);
  } catch {
    const message = "the request says no usable host; send a Host header, or :authority with HTTP/2";
    sendProblem(response, 400, { code: "invalid_argument", message });
    return;
  }
  shortenTimeout(universal.header);
  const closed = closeOf(response);
  leaveUnread(request, response);
  const admitted = await admission.admit(handler.method, universal.header, address);
  values.set(callerKey, admitted.caller);
  if (admitted.kind === "refused") {
    values.set(refusalKey, { reason: admitted.reason });
    universal = withoutBody(universal);
    endLateBody(undefined, request, patience.requestMs);
  } else {
    void closed.then(admitted.leave);
    endLateBody(handler.method, request, patience.requestMs);
  }
  const answer = await answerOf(handler, universal);
  if (admitted.kind === "refused" && answer.body === undefined) {
    const { status, problem, headers } = httpProblemOf(admitted.reason);
    sendProblem(response, status, problem, headers);
    return;
  }
  const advice = answer.body === undefined ? adviceFor(answer) : undefined;
  if (advice !== undefined) {
    sendProblem(response, answer.status, advice, Object.fromEntries(answer.header ?? []));
    return;
  }
  await writeResponse(answer, response, { logger, slowClientMs: patience.slowClientMs });
}

/** What connect refuses with an empty body is a riddle to whoever tries the API by hand. */
function adviceFor({ status }: UniversalServerResponse): { code: string; message: string } | undefined {
  switch (status) {
    case 405:
      return {
        code: "unimplemented",
        message: "call this RPC with POST; GET is for RPCs without side effects",
      };
    case 415:
      return {
        code: "invalid_argument",
        message: 'say what the body is: -H "content-type: application/json" for JSON by hand',
      };
    case 505:
      return { code: "unimplemented", message: "this RPC streams both ways, which needs HTTP/2" };
    default:
      return undefined;
  }
}

/** Resolves when the response is over, whether it was sent or not. To be called before anything is awaited. */
async function closeOf(response: HttpResponse): Promise<void> {
  if (!response.closed) await new Promise<void>((resolve) => response.once("close", resolve));
}
