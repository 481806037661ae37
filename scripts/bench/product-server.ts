import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { createFairlead } from "../../src/client/create-fairlead.ts";
import { type ControlPlane, startControlPlane } from "../../src/control-plane/control-plane.ts";
import type { LocatedContainer } from "../../src/control-plane/inventory/host-view.ts";
import { OperationSchema } from "../../src/gen/fairlead/agent/v1/operation_pb.js";
import { type Drive, type Driven, drive } from "./drive.ts";
import { memoryBytes } from "./memory.ts";
import { answerParent } from "./parent-link.ts";

// A control plane with the product's own settings, and callers inside it that go straight to its dispatcher.

const onlineMs = 120_000;
const pollMs = 20;
const noDigest = new Uint8Array(0);

const dataDir = await mkdtemp(join(tmpdir(), "fairlead-bench-"));
const logger = pino({ level: "warn" }, pino.destination(2));
const loopback = { host: "127.0.0.1", port: 0 };
const controlPlane = await startControlPlane({
  dataDir,
  logger,
  agentsListen: loopback,
  apiListen: loopback,
  // As the floors that it is compared with.
  tls: { kind: "off" },
  access: "open",
});

answerParent({
  addresses: () => ({
    agents: `127.0.0.1:${controlPlane.agentsAddress.port}`,
    api: `http://127.0.0.1:${controlPlane.apiAddress.port}`,
  }),

  token: async ({ maxUses }: { maxUses: number }) => {
    using fairlead = createFairlead({ server: `http://127.0.0.1:${controlPlane.apiAddress.port}` });
    const created = await fairlead.registrationTokens.createRegistrationToken({ maxUses });
    return created.token;
  },

  online: async ({ agents, containersEach }: { agents: number; containersEach: number }) => {
    const late = performance.now() + onlineMs;
    while (!isComplete(controlPlane, agents, containersEach)) {
      if (performance.now() > late) {
        throw new Error(`${controlPlane.sessions.size} of ${agents} agents came within ${onlineMs} ms`);
      }
      await delay(pollMs);
    }
  },

  containers: () =>
    located(controlPlane).map(({ host, container }) => ({ host: host.hostId, container: container.id })),

  memory: () => memoryBytes(),

  drive: async ({ kind, inFlightEach, ...times }: ProductLoad): Promise<Driven> => {
    const byHost = Map.groupBy(located(controlPlane), ({ host }) => host.hostId);
    const callers = [...byHost.values()].flatMap((containers) =>
      Array.from({ length: inFlightEach }, (_, index) => callerOf(containers, index, kind)),
    );
    return await drive({ ...times, callers });
  },

  close: async () => {
    await controlPlane.close(0);
    await rm(dataDir, { recursive: true, force: true });
  },
});

/** What the callers of a control plane are asked to do. */
export interface ProductLoad extends Omit<Drive, "callers"> {
  /** An inspection, which is not journaled, or the start of a running container, which is, on both sides. */
  readonly kind: "read" | "journaled";
  readonly inFlightEach: number;
}

function isComplete({ sessions, inventory }: ControlPlane, agents: number, containersEach: number): boolean {
  const hosts = inventory.hosts();
  return (
    sessions.size === agents &&
    hosts.length === agents &&
    hosts.every(({ containerCount }) => containerCount === containersEach)
  );
}

function located({ inventory }: ControlPlane): LocatedContainer[] {
  const filter = { hosts: [], states: [], nameContains: "", image: "", labels: [] };
  return inventory.list(filter, undefined, 100_000);
}

function callerOf(
  containers: readonly LocatedContainer[],
  index: number,
  kind: ProductLoad["kind"],
): () => Promise<unknown> {
  const chosen = containers[index % containers.length];
  if (chosen === undefined) throw new RangeError("a host without containers");
  const container = chosen.container.id;
  const operation: MessageInitShape<typeof OperationSchema>["operation"] =
    kind === "read"
      ? { case: "inspectContainer", value: { container } }
      : { case: "startContainer", value: { container } };
  const request = {
    host: chosen.host,
    operation: create(OperationSchema, { operation }),
    container,
    timeoutMs: undefined,
    caller: "bench",
    requestId: "",
    requestDigest: noDigest,
    // Of each caller its own, as in the API.
    signal: new AbortController().signal,
  };
  return () => controlPlane.dispatcher.dispatch(request);
}
