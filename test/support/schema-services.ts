import { readdir } from "node:fs/promises";
import type { DescService } from "@bufbuild/protobuf";
import { AgentService } from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";

/** Every service of our schema, also one that was added after this was written. */
export async function schemaServices(): Promise<DescService[]> {
  const folder = new URL("../../src/gen/fairlead/", import.meta.url);
  const files = (await readdir(folder, { recursive: true })).filter((name) =>
    name.endsWith("_service_pb.js"),
  );
  const modules = await Promise.all(
    files.map((name) => import(new URL(name, folder).href) as Promise<Record<string, unknown>>),
  );
  return modules.flatMap((module) => Object.values(module)).filter(isService);
}

/** Those of the API. The agents' service is at another port, where nobody calls by role. */
export async function apiServices(): Promise<DescService[]> {
  return (await schemaServices()).filter((service) => service !== (AgentService as DescService));
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}
