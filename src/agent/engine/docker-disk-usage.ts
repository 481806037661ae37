import type { DockerConnection } from "./docker-connection.ts";
import type { EngineDiskUsage, EngineDiskUsageGroup } from "./engine.ts";

type Maybe<Value> = Value | null | undefined;

/** GET /system/df */
export interface DockerDiskUsage {
  readonly LayersSize?: number;
  readonly Images?: Maybe<readonly DockerImageUsage[]>;
  readonly Containers?: Maybe<readonly { readonly State?: string; readonly SizeRw?: number }[]>;
  readonly Volumes?: Maybe<readonly { readonly UsageData?: Maybe<DockerVolumeUsage> }[]>;
  readonly BuildCache?: Maybe<readonly DockerCacheUsage[]>;
}

interface DockerImageUsage {
  readonly Containers?: number;
  readonly Size?: number;
  readonly SharedSize?: number;
}

interface DockerVolumeUsage {
  readonly RefCount?: number;
  readonly Size?: number;
}

interface DockerCacheUsage {
  readonly InUse?: boolean;
  readonly Shared?: boolean;
  readonly Size?: number;
}

const activeStates: ReadonlySet<string> = new Set(["running", "paused", "restarting"]);

/** Asks an engine what it takes on the disk. It may take it seconds to find out. */
export async function readDiskUsage(
  connection: DockerConnection,
  signal: AbortSignal,
): Promise<EngineDiskUsage> {
  return diskUsageFrom(
    await connection.requestJson<DockerDiskUsage>({ method: "GET", path: "/system/df" }, signal),
  );
}

/** Counts as `docker system df` does. Docker writes -1 for a size or a number that it does not know. */
export function diskUsageFrom(usage: DockerDiskUsage): EngineDiskUsage {
  return {
    images: imagesFrom(usage.Images ?? [], known(usage.LayersSize)),
    containers: group(
      (usage.Containers ?? []).map(({ State = "", SizeRw }) => ({
        isActive: activeStates.has(State),
        bytes: known(SizeRw),
      })),
    ),
    volumes: group(
      (usage.Volumes ?? []).map(({ UsageData }) => ({
        isActive: known(UsageData?.RefCount) > 0,
        bytes: known(UsageData?.Size),
      })),
    ),
    buildCache: group(
      (usage.BuildCache ?? []).map(({ InUse = false, Shared = false, Size }) => ({
        isActive: InUse,
        // What is shared is counted with the images.
        bytes: Shared ? 0 : known(Size),
      })),
    ),
  };
}

function imagesFrom(images: readonly DockerImageUsage[], layerBytes: number): EngineDiskUsageGroup {
  const active = images.filter(({ Containers }) => known(Containers) > 0);
  // Of layers that are shared nobody can say whose they are: only what an image has alone is in use by it alone.
  const used = active
    .filter(({ Size, SharedSize }) => Size !== -1 && SharedSize !== -1)
    .reduce((sum, { Size = 0, SharedSize = 0 }) => sum + Size - SharedSize, 0);
  return {
    totalCount: images.length,
    activeCount: active.length,
    sizeBytes: BigInt(layerBytes),
    reclaimableBytes: BigInt(Math.max(0, layerBytes - used)),
  };
}

function group(
  things: readonly { readonly isActive: boolean; readonly bytes: number }[],
): EngineDiskUsageGroup {
  const sum = (counted: typeof things) => BigInt(counted.reduce((total, { bytes }) => total + bytes, 0));
  return {
    totalCount: things.length,
    activeCount: things.filter(({ isActive }) => isActive).length,
    sizeBytes: sum(things),
    reclaimableBytes: sum(things.filter(({ isActive }) => !isActive)),
  };
}

function known(value: number | undefined): number {
  return value === undefined || value < 0 ? 0 : value;
}
