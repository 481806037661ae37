import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { createFairlead } from "../../src/client/create-fairlead.ts";
import { type ControlPlane, startControlPlane } from "../../src/control-plane/control-plane.ts";
import type { LocatedContainer } from "../../src/control-plane/inventory/host-view.ts";
import { FleetError } from "../../src/domain/errors.ts";
import { OperationSchema } from "../../src/gen/fairlead/agent/v1/operation_pb.js";
import { type Drive, type Driven, drive } from "./drive.ts";
import { ownUsage } from "./own-usage.ts";
import { answerParent } from "./parent-link.ts";

// A control plane with the product's own settings, and callers inside it that go straight to its dispatcher.

const onlineMs = 120_000;
const pollMs = 20;
const noDigest = new Uint8Array(0);

const isSecured = process.argv.includes("--tls");
const dataDir = await mkdtemp(join(tmpdir(), "fairlead-bench-"));
const logger = pino({ level: "warn" }, pino.destination(2));
const loopback = { host: "127.0.0.1", port: 0 };
const controlPlane = await startControlPlane({
  dataDir,
  logger,
  agentsListen: loopback,
  apiListen: loopback,
  // Without, as the floors that it is compared with.
  tls: { kind: isSecured ? "own" : "off" },
  access: "open",
});

answerParent({
  addresses: () => ({
    agents: `127.0.0.1:${controlPlane.agentsAddress.port}`,
    api: apiUrl(controlPlane),
  }),

  token: async ({ maxUses }: { maxUses: number }) => {
    const ca = controlPlane.authorityCertificate;
    using fairlead = createFairlead({ server: apiUrl(controlPlane), ...(ca === undefined ? {} : { ca }) });
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

  ...ownUsage,

  reconnect: () => reconnect(controlPlane),

  drive: async ({ kind, inFlightEach, hostName, ...times }: ProductLoad): Promise<Driven> => {
    const wanted = located(controlPlane).filter(({ host }) => (hostName ?? host.hostName) === host.hostName);
    const byHost = Map.groupBy(wanted, ({ host }) => host.hostId);
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
  /** On this host only. */
  readonly hostName?: string;
}

function apiUrl({ apiAddress }: ControlPlane): string {
  return `${isSecured ? "https" : "http"}://127.0.0.1:${apiAddress.port}`;
}

/** As when a control plane is started again, but for the time that this takes: every agent dials anew and proves who it is. */
async function reconnect({ sessions }: ControlPlane): Promise<number> {
  const old = [...sessions.all()];
  const startedAt = performance.now();
  for (const session of old) session.end(new FleetError("DRAINING", "the bench lets all agents come again"));
  let awaited = old;
  for (;;) {
    awaited = awaited.filter(({ identity: { agentId, epoch } }) => {
      const current = sessions.current(agentId);
      return current === undefined || current.identity.epoch <= epoch;
    });
    const tookMs = performance.now() - startedAt;
    if (awaited.length === 0) return tookMs;
    if (tookMs > onlineMs) throw new Error(`${awaited.length} of ${old.length} agents did not come again`);
    await delay(pollMs);
  }
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
