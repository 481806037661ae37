import { create } from "@bufbuild/protobuf";
import {
  type ContainerSpec,
  ContainerSpecSchema,
} from "../../../src/gen/fairlead/container/v1/container_spec_pb.js";
import {
  type ContainerUpdate,
  ContainerUpdateSchema,
} from "../../../src/gen/fairlead/container/v1/container_update_pb.js";
import { neverAborted } from "../../../src/resilience/signals.ts";
import type { EngineHost } from "./engine-host.ts";
import type { Ask, ChaosOperation } from "./history.ts";
import type { SeededRandom } from "./seeded-random.ts";

const operations: readonly ChaosOperation[] = [
  "create",
  "start",
  "stop",
  "restart",
  "kill",
  "pause",
  "unpause",
  "rename",
  "remove",
  "update",
  "exec",
];

/** How a container stands before each operation that changes something of it. */
const before: Readonly<Record<ChaosOperation, "created" | "running" | "paused">> = {
  create: "created",
  start: "created",
  stop: "running",
  restart: "running",
  kill: "running",
  pause: "running",
  unpause: "paused",
  rename: "created",
  remove: "created",
  update: "running",
  exec: "running",
};

/** How it stands when it is so already; only for what then succeeds without a change. */
const already: Readonly<Partial<Record<ChaosOperation, "created" | "running" | "paused">>> = {
  start: "running",
  stop: "created",
  pause: "paused",
};

/** What every container of a run is made from: a server that ends at once when it is told to. */
export const chaosSpec: ContainerSpec = create(ContainerSpecSchema, { image: "redis:8" });

/** What an update asks for: a limit that nothing has from its beginning. */
export const chaosUpdate: ContainerUpdate = create(ContainerUpdateSchema, {
  memoryBytes: 64n * 1024n * 1024n,
});

/** What a process of a run writes. */
export function execText({ index }: Pick<Ask, "index">): string {
  return `process of ask ${index}`;
}

/** An ask before its container is there. */
export type AskDraft = Omit<Ask, "container">;

/** The next thing to ask for. The same seed gives the same ones in the same order. */
export function draftAsk(index: number, hosts: readonly string[], random: SeededRandom): AskDraft {
  const operation = random.pick(operations);
  const requestId = random.chance(0.6) ? `request-${index}` : "";
  const offlinePolicy = random.weighted({ "fail-fast": 0.25, wait: 0.45, queue: 0.3 });
  const isAlready = already[operation] !== undefined && random.chance(0.1);
  return {
    index,
    host: random.pick(hosts),
    operation,
    newName: operation === "rename" ? `chaos-${index}-renamed` : "",
    requestId,
    offlinePolicy,
    timeoutMs: Math.round(random.chance(0.2) ? random.between(20, 400) : random.between(2_000, 6_000)),
    expiresAfterMs: offlinePolicy === "queue" && random.chance(0.4) ? random.between(300, 3_000) : undefined,
    starts: operation === "create" && random.chance(0.5),
    already: isAlready,
    impossible: operation !== "create" && !isAlready && random.chance(0.05),
    hangsUpAfterMs: random.chance(0.1) ? random.between(1, 200) : undefined,
    cancelledAfterMs: random.chance(offlinePolicy === "queue" ? 0.4 : 0.05)
      ? random.between(0, 300)
      : undefined,
    callers: requestId !== "" && random.chance(0.2) ? 2 + random.integer(3) : 1,
  };
}

/** Makes the container that an ask is about, past all agents. A creation has none yet. */
export async function prepared(draft: AskDraft, host: EngineHost): Promise<Ask> {
  const name = `chaos-${draft.index}`;
  if (draft.operation === "create") return { ...draft, container: name };
  const wanted = draft.already ? already[draft.operation] : before[draft.operation];
  const { engine } = host;
  const id = await insist(() => engine.createContainer(name, chaosSpec, neverAborted));
  if (wanted !== "created") await insist(() => engine.startContainer(id, neverAborted));
  if (wanted === "paused") await insist(() => engine.pauseContainer(id, neverAborted));
  return { ...draft, container: id };
}

// The engine may just play dead.
async function insist<Value>(call: () => Promise<Value>): Promise<Value> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((error as { reason?: unknown }).reason !== "ENGINE_UNAVAILABLE") throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
