import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { DescService } from "@bufbuild/protobuf";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { ControlPlaneConfig } from "../../src/control-plane/config.ts";
import { type ControlPlane, startControlPlane } from "../../src/control-plane/control-plane.ts";
import { RawAgent, type RawIdentity, rawIdentity } from "./raw-agent.ts";

const loopback = { host: "127.0.0.1", port: 0 };

/** A control plane on a real database and real sockets, for one test. */
export interface TestControlPlane extends AsyncDisposable {
  readonly controlPlane: ControlPlane;
  readonly dataDir: string;
  /** What it logged, one JSON text a line. */
  readonly logLines: readonly string[];
  client<Service extends DescService>(service: Service): Client<Service>;
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
    client: (service) => {
      const { host, port } = controlPlane.apiAddress;
      return createClient(
        service,
        createConnectTransport({ baseUrl: `http://${host}:${port}`, httpVersion: "1.1" }),
      );
    },
    stream(identity = rawIdentity()) {
      const agent = new RawAgent(controlPlane.agentsAddress.port, identity);
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
