import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FleetError } from "../../domain/errors.ts";
import { readDockerTls, type DockerTls } from "./docker-tls.ts";

/** A context of Docker's command line: an engine with a name. */
export interface DockerContext {
  readonly host: string;
  readonly tls: DockerTls | undefined;
}

/**
 * Reads the context that Docker's own clients would use, from their configuration folder. `name` overrides the configured
 * one. Undefined: the default context, which is no file. Rejects with `INVALID_ARGUMENT` when the context does not exist or
 * makes no sense.
 */
export async function readCurrentContext(
  configFolder: string,
  name: string | undefined,
): Promise<DockerContext | undefined> {
  const config = await readJson(join(configFolder, "config.json"));
  const current = name || stringAt(config, "currentContext");
  if (current === undefined || current === "" || current === "default") {
    return undefined;
  }
  const digest = createHash("sha256").update(current).digest("hex");
  const meta = await readJson(join(configFolder, "contexts", "meta", digest, "meta.json"));
  const endpoint = objectAt(objectAt(meta, "Endpoints"), "docker");
  const host = stringAt(endpoint, "Host");
  if (host === undefined || host === "") {
    throw new FleetError(
      "INVALID_ARGUMENT",
      `the Docker context "${current}" does not say where its engine is`,
    );
  }
  const tls = await readDockerTls(
    join(configFolder, "contexts", "tls", digest, "docker"),
    endpoint?.["SkipTLSVerify"] !== true,
  );
  const hasTls = tls.ca !== undefined || tls.cert !== undefined || !tls.verify;
  return { host, tls: hasTls ? tls : undefined };
}

type JsonObject = Readonly<Record<string, unknown>>;

async function readJson(path: string): Promise<JsonObject | undefined> {
  try {
    return asObject(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    // No configuration at all is the usual case, and one that others may not read is nobody's fault either.
    if (["ENOENT", "ENOTDIR", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) {
      return undefined;
    }
    throw new FleetError("INVALID_ARGUMENT", `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function asObject(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null ? (value as JsonObject) : undefined;
}

function objectAt(object: JsonObject | undefined, key: string): JsonObject | undefined {
  return asObject(object?.[key]);
}

function stringAt(object: JsonObject | undefined, key: string): string | undefined {
  const value = object?.[key];
  return typeof value === "string" ? value : undefined;
}
