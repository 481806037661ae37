import { createConnectRouter } from "@connectrpc/connect";
import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { DescService } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { Health } from "../gen/grpc/health/v1/health_pb.js";
import { systemClock } from "../resilience/clock.ts";
import type { Clock } from "../resilience/clock.ts";
import { Admission } from "./admission.ts";
import { maxTimeoutMs } from "./call-timeout.ts";
import { admissionInterceptor } from "./admission-interceptor.ts";
import { type ApiLimits, defaultApiLimits } from "./api-limits.ts";
import type { Authenticate } from "./caller.ts";
import { createConnectListener } from "./connect-listener.ts";
import { createDrainInterceptor, Drain } from "./drain.ts";
import { createErrorInterceptor } from "./error-interceptor.ts";
import { createHealthService } from "./health-service.ts";
import type { HealthStates } from "./health.ts";
import { defaultHttpPatience, openHttpPort } from "./http-port.ts";
import type { HttpPatience, HttpResponse } from "./http-port.ts";
import type { SessionGuard } from "./http2-guard.ts";
import { createLogInterceptor } from "./log-interceptor.ts";
import { OpenSet } from "./open-set.ts";
import { createPlainPages, type ReadMetrics } from "./plain-pages.ts";
import { serveReflection } from "./reflection-service.ts";
import type { TlsSource } from "./tls-source.ts";
import { validationInterceptor } from "./validation-interceptor.ts";

export interface ApiServerOptions {
  /** Port 0: the system chooses one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Registers the services. Health and reflection are there without it. */
  readonly routes: (router: ConnectRouter) => void;
  readonly authenticate: Authenticate;
  readonly health: HealthStates;
  /** What `/metrics` shows to whoever may read. Without: nothing is there. */
  readonly metrics?: ReadMetrics;
  readonly logger: Logger;
  /** Run after a call was authenticated, authorised and validated. */
  readonly interceptors?: readonly Interceptor[];
  /** The largest message of a caller. 1 MiB by default. */
  readonly maxMessageBytes?: number;
  /** What differs from the defaults of how much one caller, and all together, may use at once. */
  readonly limits?: Partial<ApiLimits> | undefined;
  /** What differs from the defaults of how long clients may take. */
  readonly patience?: Partial<HttpPatience> | undefined;
  /** A connection was ended for what was sent on it. */
  readonly onCut?: SessionGuard["onCut"];
  /** Certificate and key. Without: plaintext. */
  readonly tls?: TlsSource | undefined;
  readonly clock?: Clock;
}

export interface ApiServer {
  readonly address: { readonly host: string; readonly port: number };
  /** How many requests are being answered. */
  readonly requestCount: number;
  /** How many calls of RPCs hold a place. */
  readonly openCallCount: number;
  /** How many connections are open, idle ones too. */
  readonly connectionCount: number;
  /**
   * Says NOT_SERVING, and ends streams and answers new calls with `UNAVAILABLE` (`DRAINING`), until `close`: a port that were closed first would
   * say nothing to anybody. Resolves when the calls in flight have ended; how long that may take is for the caller to say, by `close`.
   */
  drain(): Promise<void>;
  /** Ends everything at once; also after or amid a drain, and twice. Leaves no socket and no timer. */
  close(): Promise<void>;
}

// The name of a service, and what is around it.
const maxHealthMessageBytes = 4_096;

/** Serves the API: Connect, gRPC and gRPC-Web on one port, with health and reflection. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const drain = new Drain();
  const router = createRouter(options, drain);
  const { health, authenticate, metrics, clock = systemClock } = options;
  const limits = { ...defaultApiLimits, ...options.limits };
  const admission = new Admission({ authenticate, limits, clock });
  const pages = createPlainPages(health, servicesOf(router), admission, metrics);
  const patience = { ...defaultHttpPatience, ...options.patience };
  const answer = createConnectListener(router, { admission, logger: options.logger, patience }, pages);
  const requests = new OpenSet<HttpResponse>();
  const port = await openHttpPort({
    listen: options.listen,
    tls: options.tls,
    patience,
    onCut: options.onCut,
    onRequest(request, response) {
      requests.add(response);
      answer(request, response);
    },
  });
  return {
    address: port.address,
    get requestCount() {
      return requests.size;
    },
    get openCallCount() {
      return admission.openCalls;
    },
    get connectionCount() {
      return port.connectionCount;
    },
    async drain() {
      options.health.drain();
      drain.begin();
      await requests.emptied();
    },
    async close() {
      options.health.drain();
      drain.begin();
      await port.close();
      await requests.emptied();
    },
  };
}

function createRouter(options: ApiServerOptions, drain: Drain): ConnectRouter {
  const { logger, clock = systemClock, maxMessageBytes = 1_048_576, interceptors = [] } = options;
  const router = createConnectRouter({
    readMaxBytes: maxMessageBytes,
    maxTimeoutMs,
    acceptCompression: [compressionGzip, compressionBrotli],
    interceptors: [
      createLogInterceptor(logger, clock),
      createErrorInterceptor(logger),
      createDrainInterceptor(drain),
      admissionInterceptor,
      validationInterceptor,
      ...interceptors,
    ],
  });
  options.routes(router);
  const served = () => servicesOf(router);
  router.service(
    Health,
    createHealthService(options.health, () => served().map(({ typeName }) => typeName)),
    // Strangers may have a thousand of these open, and what is read of a message is kept until all of it is there.
    { readMaxBytes: maxHealthMessageBytes },
  );
  serveReflection(router, served);
  return router;
}

function servicesOf(router: ConnectRouter): DescService[] {
  return [...new Set(router.handlers.map(({ service }) => service))];
}
