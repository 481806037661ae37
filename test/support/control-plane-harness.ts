import { type Client, createClient } from "@connectrpc/connect";
import type { DescService } from "@bufbuild/protobuf";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { ControlPlaneConfig } from "../../src/control-plane/config.ts";
import { type ControlPlane, startControlPlane } from "../../src/control-plane/control-plane.ts";
import { type ApiPlace, connectTransport, keyFileOf } from "./api-place.ts";
import { RawAgent, type RawIdentity, rawIdentity } from "./raw-agent.ts";

const loopback = { host: "127.0.0.1", port: 0 };

/** A control plane on a real database and real sockets, with TLS and keys unless told otherwise, for one test. */
export interface TestControlPlane extends AsyncDisposable, ApiPlace {
  readonly controlPlane: ControlPlane;
  readonly dataDir: string;
  /** Where agents connect, "host:port". */
  readonly agentsServer: string;
  /** The key that it wrote for its admin. Undefined: calls need no key. */
  readonly adminKey: string | undefined;
  /** What it logged, one JSON text a line. */
  readonly logLines: readonly string[];
  /** A client that shows a key: the admin's, unless another is given. */
  client<Service extends DescService>(service: Service, key?: string): Client<Service>;
  /** Opens a stream that has said nothing yet. */
  stream(identity?: RawIdentity): RawAgent;
  /** An agent that is enrolled and has a session. */
  enrolled(registration?: Record<string, unknown>): Promise<RawAgent>;
  /** An agent that is back with what it knew. */
  returned(agent: RawAgent, hello?: Parameters<RawAgent["reconnect"]>[0]): Promise<RawAgent>;
  /** Ends this process's control plane and starts another on the same data. */
  restart(config?: Partial<ControlPlaneConfig>): Promise<void>;
}

/** Starts a control plane whose end (`await using`) fails when something is left. */
export async function testControlPlane(
  overrides: Partial<ControlPlaneConfig> = {},
): Promise<TestControlPlane> {
  const dataDir = await mkdtemp(join(tmpdir(), "fairlead-test-"));
  const logLines: string[] = [];
  const logger = pino({ level: "trace" }, { write: (line: string) => void logLines.push(line) });
  const agents: RawAgent[] = [];
  const start = (more: Partial<ControlPlaneConfig>) =>
    startControlPlane({
      dataDir,
      logger,
      agentsListen: loopback,
      apiListen: loopback,
      ...overrides,
      ...more,
    });
  let controlPlane = await start({});
  const harness: TestControlPlane = {
    get controlPlane() {
      return controlPlane;
    },
    dataDir,
    logLines,
    get agentsServer() {
      const { host, port } = controlPlane.agentsAddress;
      return `${host}:${port}`;
    },
    get baseUrl() {
      const { host, port } = controlPlane.apiAddress;
      return `${harness.ca === undefined ? "http" : "https"}://${host}:${port}`;
    },
    get ca() {
      return controlPlane.authorityCertificate;
    },
    get adminKey() {
      const { keyFile } = controlPlane;
      return keyFile === undefined ? undefined : keyFileOf(keyFile).apiKey;
    },
    client: (service, key = harness.adminKey) => createClient(service, connectTransport(harness, key)),
    stream(identity = rawIdentity()) {
      const agent = new RawAgent(controlPlane.agentsAddress.port, identity, harness.ca);
      agents.push(agent);
      return agent;
    },
    async enrolled(registration = {}) {
      const agent = harness.stream();
      await agent.register(await controlPlane.createToken("test"), {}, registration);
      return agent;
    },
    async returned(agent, hello = {}) {
      const back = harness.stream(agent.identity);
      await back.reconnect(hello);
      return back;
    },
    async restart(more = {}) {
      await controlPlane.close(0);
      controlPlane = await start(more);
    },
    async [Symbol.asyncDispose]() {
      for (const agent of agents) agent.close();
      await controlPlane.close(0);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  return harness;
}

/** Waits until the condition holds, at most five seconds; for what another process or socket does in its own time. */
export async function eventually<Value>(
  check: () => Value | Promise<Value>,
  what: string,
  timeoutMs = 5_000,
): Promise<NonNullable<Value>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
