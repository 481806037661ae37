import type { ContainerUpdate } from "../../gen/fairlead/container/v1/container_update_pb.js";
import { restartPolicyFrom } from "./docker-create-options.ts";
import type { DockerHostConfig } from "./docker-json.ts";
import type { EngineContainer } from "./engine.ts";
import { restartPolicyText } from "./restart-policy.ts";

/** The limits that are in force. Undefined: none. What breaks a bound of the schema is told as its nearest within. */
export function limitsFromHostConfig(config: DockerHostConfig): EngineContainer["limits"] {
  const { Memory, CpuShares, PidsLimit } = config;
  const limits = {
    memoryBytes: BigInt(within(Memory, 2 ** 60)),
    milliCpus: within(milliCpusFrom(config), 65_536_000),
    pids: within(PidsLimit, 4_194_304),
    cpuShares: within(CpuShares, 262_144),
  };
  return Object.values(limits).some((limit) => limit > 0) ? limits : undefined;
}

/** The rule by which the engine starts a container again, as `Container.restart_policy` has it. */
export function restartPolicyFromHostConfig({ RestartPolicy: policy }: DockerHostConfig): string {
  return restartPolicyText(policy?.Name || "no", policy?.MaximumRetryCount ?? 0);
}

/** What of an update Docker is to be told: the members of the container's configuration that are otherwise. Empty: none. */
export function changedMembers(update: ContainerUpdate, now: DockerHostConfig): DockerHostConfig {
  const { memoryBytes, milliCpus, pids, cpuShares, restartPolicy } = update;
  const nanoCpus = milliCpus && milliCpus * 1_000_000;
  return {
    ...(memoryBytes !== undefined && memoryMembers(Number(memoryBytes), now)),
    ...(nanoCpus !== undefined && nanoCpus !== now.NanoCpus && { NanoCpus: nanoCpus }),
    ...(pids !== undefined && pids !== within(now.PidsLimit, Infinity) && { PidsLimit: pids }),
    ...(cpuShares !== undefined && cpuShares !== now.CpuShares && { CpuShares: cpuShares }),
    ...(restartPolicy !== undefined && restartMembers(restartPolicyFrom(restartPolicy), now)),
  };
}

// Without a word about swap Docker makes it twice the memory when a container is created; in an update it refuses more memory
// than the limit of both, and any where there is none. What somebody has chosen stays.
function memoryMembers(bytes: number, { Memory = 0, MemorySwap = 0 }: DockerHostConfig): DockerHostConfig {
  if (bytes === Memory) return {};
  if (MemorySwap === -1) return { Memory: bytes, MemorySwap: -1 };
  return { Memory: bytes, ...(MemorySwap === 2 * Memory && { MemorySwap: 2 * bytes }) };
}

function restartMembers(
  wanted: NonNullable<DockerHostConfig["RestartPolicy"]>,
  { RestartPolicy: now }: DockerHostConfig,
): DockerHostConfig {
  const isSo =
    wanted.Name === (now?.Name || "no") && wanted.MaximumRetryCount === (now?.MaximumRetryCount ?? 0);
  return isSo ? {} : { RestartPolicy: wanted };
}

function milliCpusFrom({ NanoCpus = 0, CpuQuota = 0, CpuPeriod = 0 }: DockerHostConfig): number {
  if (NanoCpus > 0) return Math.round(NanoCpus / 1_000_000);
  // Without a period the kernel's own counts.
  return CpuQuota > 0 ? Math.round((CpuQuota * 1_000) / (CpuPeriod || 100_000)) : 0;
}

/** Engines say "no limit" as 0, -1, null or nothing. */
function within(value: number | null | undefined, most: number): number {
  return Math.min(most, Math.max(0, value ?? 0));
}
