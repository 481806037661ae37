import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FleetError } from "../domain/errors.ts";
import type { Environment } from "./environment.ts";

/** What a key file says, or what is said in its place. */
export interface Credentials {
  /** The API's URL. */
  readonly server?: string;
  readonly apiKey?: string;
  /** The certificate of the authority to trust, PEM. */
  readonly ca?: string;
}

/** What a person said of it on the command line. */
export interface CredentialOptions {
  readonly server?: string | undefined;
  readonly keyFile?: string | undefined;
}

const defaultDataFolder = "./fairlead-data";

/**
 * Where the API is, and what to show it. A flag wins over its variable, and both over a key file: the one that is
 * named (`--key-file`, FAIRLEAD_KEY_FILE), or else the control plane's own in the data folder, if this machine has one.
 * What that one says is left out when another server is called, because its key is none of that server's business.
 * Throws INVALID_ARGUMENT when a file that was named cannot be used.
 */
export function findCredentials(options: CredentialOptions, { env }: Environment): Credentials {
  const server = options.server ?? given(env["FAIRLEAD_SERVER"]);
  const named = options.keyFile ?? given(env["FAIRLEAD_KEY_FILE"]);
  const file = named === undefined ? ownKeyFile(env, server) : readKeyFile(named);
  const apiKey = given(env["FAIRLEAD_API_KEY"]);
  return {
    ...file,
    ...(server === undefined ? {} : { server }),
    ...(apiKey === undefined ? {} : { apiKey }),
  };
}

/**
 * Puts other certificates to trust (`to`) in the place of those that the key file in use has (`from`), PEM. False: another file is in use by now,
 * or it cannot be written; the next command tries again.
 */
export function renewKeyFile(
  options: CredentialOptions,
  { env }: Environment,
  { from, to }: { readonly from: string; readonly to: string },
): boolean {
  const path = options.keyFile ?? given(env["FAIRLEAD_KEY_FILE"]) ?? ownKeyPath(env);
  const fresh = `${path}.${process.pid}.new`;
  try {
    const found = parse(readFileSync(path, "utf8"));
    if (found?.["ca"] !== from) return false;
    writeFileSync(fresh, `${JSON.stringify({ ...found, ca: to }, undefined, 2)}\n`, {
      mode: 0o600,
      flush: true,
    });
    renameSync(fresh, path);
    return true;
  } catch {
    rmSync(fresh, { force: true });
    return false;
  }
}

function ownKeyPath(env: Environment["env"]): string {
  return join(given(env["FAIRLEAD_DATA"]) ?? defaultDataFolder, "admin.key");
}

function ownKeyFile(env: Environment["env"], server: string | undefined): Credentials {
  let file: Credentials;
  try {
    file = readKeyFile(ownKeyPath(env));
  } catch {
    // Nobody asked for it.
    return {};
  }
  return server === undefined || isSamePlace(server, file.server ?? "") ? file : {};
}

function readKeyFile(path: string): Credentials {
  try {
    const found = parse(readFileSync(path, "utf8"));
    const { server, apiKey, ca } = found ?? {};
    if (typeof apiKey !== "string") throw new Error('it has no "apiKey"');
    return {
      apiKey,
      ...(typeof server === "string" ? { server } : {}),
      ...(typeof ca === "string" ? { ca } : {}),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FleetError("INVALID_ARGUMENT", `the key file ${path} cannot be used: ${why}`);
  }
}

// What the parser says of a text quotes it, and the text may be a key.
function parse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>> | null;
  } catch {
    throw new Error("it is not JSON");
  }
}

function given(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function isSamePlace(one: string, other: string): boolean {
  return placeOf(one) === placeOf(other);
}

// A machine calls itself by several names, and a server may be written without its scheme.
function placeOf(server: string): string {
  const bare = server.replace(/^[a-z]+:\/\//i, "").replace(/\/$/, "");
  return bare.toLowerCase().replace(/^(localhost|\[::1\])(?=:|$)/, "127.0.0.1");
}
