import { durationMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../../domain/errors.ts";
import type { OpenStats } from "../../../gen/fairlead/agent/v1/stream_operations_pb.js";
import { ContainerState } from "../../../gen/fairlead/container/v1/container_pb.js";
import { eachOf } from "../../../resilience/each-of.ts";
import type { EngineContainer } from "../../engine/engine.ts";
import type { ContainerUsage } from "../../engine/engine-usage.ts";
import type { DataStream } from "../../streams/data-stream.ts";
import type { OperationContext, Outcome } from "../operations/operation-context.ts";
import { type ContainerFigures, type HostFigures, UsageMeter } from "./usage-meter.ts";

/** How long after the first reading the first figures are there. */
const firstMs = 1_000;

/** How many containers are read side by side: each is a connection to the engine, and work for it. */
const readingsAtOnce = 8;

/** About 150 bytes each: with this many a message stays far below 64 KiB. */
const samplesInMessage = 256;

const live: ReadonlySet<ContainerState | undefined> = new Set([
  ContainerState.RUNNING,
  ContainerState.PAUSED,
  ContainerState.RESTARTING,
]);

/**
 * Streams what containers and the host use, over a data stream of its own, which goes on after this has resolved. What the host's policy does not
 * let be touched is left out, and so is what does not run. A container's end ends nothing else.
 */
export async function openStats(request: OpenStats, context: OperationContext): Promise<Outcome> {
  const { streams } = context.rooms;
  refuseWhenAllAreDenied(request, context);
  await streams.run(
    request.ticket,
    async (stream) => {
      void stream.watch();
      await measure(request, context, stream);
      return {};
    },
    context.signal,
  );
  return {};
}

async function measure(request: OpenStats, context: OperationContext, stream: DataStream): Promise<void> {
  const { clock } = context.rooms;
  const { signal } = stream;
  const intervalMs = request.interval && durationMs(request.interval);
  const meter = new UsageMeter();
  const read = () => readAll(meter, request, context, signal);
  await read();
  for (let waitMs = firstMs; ; ) {
    await clock.sleep(waitMs, signal);
    const startedMs = clock.monotonic();
    await send(await read(), stream);
    if (intervalMs === undefined) return;
    waitMs = Math.max(0, intervalMs - (clock.monotonic() - startedMs));
  }
}

interface Figures {
  readonly containers: ReadonlyMap<string, ContainerFigures>;
  readonly host: HostFigures | undefined;
}

async function readAll(
  meter: UsageMeter,
  request: OpenStats,
  context: OperationContext,
  signal: AbortSignal,
): Promise<Figures> {
  const { engine } = context.rooms;
  const usages = new Map<string, ContainerUsage>();
  await eachOf(wanted(request, context), readingsAtOnce, async ({ id }) => {
    const usage = await usageOf(id, context, signal);
    if (usage !== undefined) usages.set(id, usage);
  });
  return {
    containers: meter.containers(usages),
    host: request.includeHost ? meter.host(await engine.hostUsage(signal)) : undefined,
  };
}

/** Undefined: it has ended, or the engine cannot tell of it. */
async function usageOf(
  id: string,
  { rooms }: OperationContext,
  signal: AbortSignal,
): Promise<ContainerUsage | undefined> {
  try {
    return await rooms.engine.usage(id, signal);
  } catch (error) {
    const isItsOwn = error instanceof FleetError && error.reason !== "ENGINE_UNAVAILABLE";
    if (signal.aborted || !isItsOwn) throw error;
    return undefined;
  }
}

/** Whoever names nothing but what the host's policy denies is told so. */
function refuseWhenAllAreDenied(request: OpenStats, context: OperationContext): void {
  const { gate } = context;
  const named = known(request, context);
  const [first] = named;
  if (!request.all && first !== undefined && gate.permitted(named).length === 0) gate.judge(first);
  gate.permitted([]);
}

function wanted(request: OpenStats, context: OperationContext): EngineContainer[] {
  return context.gate.permitted(known(request, context).filter(({ state }) => live.has(state)));
}

function known({ all, containers }: OpenStats, { rooms: { mirror } }: OperationContext): EngineContainer[] {
  const ids = all ? mirror.ids() : containers.map((container) => mirror.resolve(container));
  return ids.map((id) => mirror.get(id ?? "")).filter((container) => container !== undefined);
}

async function send({ containers, host }: Figures, stream: DataStream): Promise<void> {
  const left = [...containers];
  do {
    const some = left.splice(0, samplesInMessage);
    const more = left.length > 0;
    const value = { containers: Object.fromEntries(some), more, ...(!more && host && { host }) };
    await stream.send({ case: "stats", value });
  } while (left.length > 0);
}
