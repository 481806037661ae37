import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { ServiceImpl } from "@connectrpc/connect";
import { pino } from "pino";
import type { Logger } from "pino";
import { Role } from "../../src/gen/fairlead/access/v1/role_pb.js";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { FileService } from "../../src/gen/fairlead/container/v1/file_service_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { type ApiServer, type ApiServerOptions, startApiServer } from "../../src/rpc/api-server.ts";
import { HealthStates } from "../../src/rpc/health.ts";

export interface Services {
  readonly hosts?: Partial<ServiceImpl<typeof HostService>>;
  readonly files?: Partial<ServiceImpl<typeof FileService>>;
  readonly events?: Partial<ServiceImpl<typeof EventService>>;
  readonly containers?: Partial<ServiceImpl<typeof ContainerService>>;
}

export interface ApiUnderTest {
  readonly server: ApiServer;
  readonly health: HealthStates;
  readonly url: string;
  readonly authority: string;
  /** Every line of the log so far. */
  readonly logLines: Record<string, unknown>[];
}

const started: ApiServer[] = [];

/** Starts an API server on a free port of the loopback, for one test; `closeApis` ends it. */
export async function startApi(
  services: Services = {},
  options: Partial<ApiServerOptions> = {},
): Promise<ApiUnderTest> {
  const { logger, lines } = recordingLogger();
  const health = new HealthStates();
  const server = await startApiServer({
    listen: { host: "127.0.0.1", port: 0 },
    authenticate: () => ({ name: "local", role: Role.ADMIN }),
    health,
    logger,
    routes(router) {
      router.service(HostService, services.hosts ?? {});
      router.service(EventService, services.events ?? {});
      router.service(FileService, services.files ?? {});
      router.service(ContainerService, services.containers ?? {});
    },
    ...options,
  });
  started.push(server);
  const authority = `127.0.0.1:${server.address.port}`;
  const scheme = options.tls === undefined ? "http" : "https";
  return { server, health, authority, url: `${scheme}://${authority}`, logLines: lines };
}

/** Ends every server of the test, and fails when one of them leaves something behind. */
export async function closeApis(): Promise<void> {
  for (const server of started.splice(0)) {
    await server.close();
    assert.equal(server.requestCount, 0, "requests are left");
    assert.equal(server.connectionCount, 0, "connections are left");
  }
}

export function recordingLogger(): { logger: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  return { logger: pino({ level: "trace" }, sink), lines };
}

/** Waits until the condition holds. Fails after two seconds. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    assert.ok(waited < 2000, `did not come to pass: ${what}`);
    await delay(5);
  }
}
