import { cut } from "./container-bounds.ts";
import type { DockerInfo } from "./docker-json.ts";
import type { EngineFacts } from "./engine.ts";

/** Translates Docker's GET /info and GET /version, made to fit the bounds of the schema. */
export function factsFromDocker(info: DockerInfo, version: { readonly ApiVersion?: string }): EngineFacts {
  return {
    engineId: info.ID ?? "",
    hostname: cut(info.Name ?? "", 255),
    operatingSystem: cut(info.OperatingSystem ?? "", 255),
    kernelVersion: cut(info.KernelVersion ?? "", 255),
    architecture: cut(info.Architecture ?? "", 64),
    engineVersion: cut(info.ServerVersion ?? "", 128),
    engineApiVersion: cut(version.ApiVersion ?? "", 32),
    cpuCount: Math.max(0, info.NCPU ?? 0),
    memoryBytes: BigInt(Math.max(0, info.MemTotal ?? 0)),
    simulated: false,
  };
}
