import type { ServiceImpl } from "@connectrpc/connect";
import { pino } from "pino";
import type { Environment } from "../../src/cli/environment.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { ApiKeyService } from "../../src/gen/fairlead/access/v1/api_key_service_pb.js";
import { Role } from "../../src/gen/fairlead/access/v1/role_pb.js";
import { CommandService } from "../../src/gen/fairlead/command/v1/command_service_pb.js";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { ExecService } from "../../src/gen/fairlead/container/v1/exec_service_pb.js";
import { LogService } from "../../src/gen/fairlead/container/v1/log_service_pb.js";
import { StatsService } from "../../src/gen/fairlead/container/v1/stats_service_pb.js";
import { FileService } from "../../src/gen/fairlead/container/v1/file_service_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { type ApiServer, startApiServer } from "../../src/rpc/api-server.ts";
import { HealthStates } from "../../src/rpc/health.ts";

/** What the API that a command line is tried against answers. What is left out is not implemented. */
export interface Answers {
  readonly containers?: Partial<ServiceImpl<typeof ContainerService>>;
  readonly logs?: Partial<ServiceImpl<typeof LogService>>;
  readonly files?: Partial<ServiceImpl<typeof FileService>>;
  readonly processes?: Partial<ServiceImpl<typeof ExecService>>;
  readonly stats?: Partial<ServiceImpl<typeof StatsService>>;
  readonly hosts?: Partial<ServiceImpl<typeof HostService>>;
  readonly tokens?: Partial<ServiceImpl<typeof RegistrationTokenService>>;
  readonly keys?: Partial<ServiceImpl<typeof ApiKeyService>>;
  readonly commands?: Partial<ServiceImpl<typeof CommandService>>;
  readonly events?: Partial<ServiceImpl<typeof EventService>>;
}

/** What a command line left behind. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The moment at which all of these tests take place. */
export const nowMs = Date.UTC(2026, 0, 31, 12);

/** A data folder that is not there, so that nothing of the person who runs the tests is found. */
const noFolder = "/nonexistent/fairlead-data";

const started: ApiServer[] = [];

/** Serves answers on a real port, with everything around them that the real API has. `closeApis` ends it. */
export async function serveAnswers(
  answers: Answers,
  onCall: (headers: Headers) => void = () => undefined,
): Promise<string> {
  const server = await startApiServer({
    listen: { host: "127.0.0.1", port: 0 },
    health: new HealthStates(),
    logger: pino({ level: "silent" }),
    authenticate(headers) {
      onCall(headers);
      return { name: "local", role: Role.ADMIN };
    },
    routes: (router) =>
      router
        .service(ContainerService, answers.containers ?? {})
        .service(LogService, answers.logs ?? {})
        .service(FileService, answers.files ?? {})
        .service(ExecService, answers.processes ?? {})
        .service(StatsService, answers.stats ?? {})
        .service(HostService, answers.hosts ?? {})
        .service(RegistrationTokenService, answers.tokens ?? {})
        .service(ApiKeyService, answers.keys ?? {})
        .service(CommandService, answers.commands ?? {})
        .service(EventService, answers.events ?? {}),
  });
  started.push(server);
  return `http://127.0.0.1:${server.address.port}`;
}

/** Ends every API of the test. */
export async function closeApis(): Promise<void> {
  await Promise.all(started.splice(0).map((server) => server.close()));
}

/** Runs a command line in this process, against answers. Not on a terminal, unless `surroundings` say so. */
export async function fairlead(
  answers: Answers,
  args: readonly string[],
  surroundings: Partial<Environment> = {},
): Promise<Outcome> {
  const server = await serveAnswers(answers);
  return await fairleadAlone(args, {
    ...surroundings,
    env: { FAIRLEAD_SERVER: server, FAIRLEAD_DATA: noFolder, ...surroundings.env },
  });
}

/** The same without an API. */
export async function fairleadAlone(
  args: readonly string[],
  surroundings: Partial<Environment> = {},
): Promise<Outcome> {
  const written = { stdout: "", stderr: "" };
  const code = await runCli(
    args,
    {
      env: { FAIRLEAD_DATA: noFolder },
      stdout: { write: (text) => (written.stdout += Buffer.from(text).toString("utf8")) },
      stderr: { write: (text) => (written.stderr += Buffer.from(text).toString("utf8")) },
      isTTY: false,
      isErrorTTY: false,
      columns: undefined,
      signal: new AbortController().signal,
      clock: { ...systemClock, now: () => nowMs },
      ...surroundings,
    },
    { version: "1.2.3" },
  );
  return { code, ...written };
}
