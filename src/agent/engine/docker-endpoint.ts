import { join } from "node:path";
import { FleetError } from "../../domain/errors.ts";
import { readCurrentContext } from "./docker-context.ts";
import { readDockerTls, type DockerTls } from "./docker-tls.ts";

/** Where a Docker Engine listens. */
export type DockerEndpoint =
  /** A Unix socket, or a named pipe. `address` is how people write it. */
  | { readonly kind: "socket"; readonly address: string; readonly path: string }
  | {
      readonly kind: "tcp";
      readonly address: string;
      readonly hostname: string;
      readonly port: number;
      /** Put before every path, for an engine behind a proxy. Empty or "/something". */
      readonly pathPrefix: string;
      /** Undefined: plaintext. */
      readonly tls: DockerTls | undefined;
    };

/** What decides where the engine is. */
export interface DockerEndpointChoice {
  /** As `docker --host` takes it. Undefined or empty: as Docker's own clients choose. */
  readonly dockerHost: string | undefined;
  /** `DOCKER_HOST`, `DOCKER_TLS`, `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`, `DOCKER_CONTEXT` and `DOCKER_CONFIG` count. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The folder that has `.docker`. Undefined: there is none, and so no context. */
  readonly homeDirectory: string | undefined;
}

const defaultAddress = "unix:///var/run/docker.sock";

/**
 * Finds the engine in the order of Docker's own clients: the explicit host, DOCKER_HOST, the context of DOCKER_CONTEXT or of
 * Docker's configuration, else the usual socket. Reads files; connects to nothing. Rejects with `INVALID_ARGUMENT` when what
 * was chosen cannot be used.
 */
export async function resolveDockerEndpoint(choice: DockerEndpointChoice): Promise<DockerEndpoint> {
  const { environment } = choice;
  const home = choice.homeDirectory;
  const configFolder = environment["DOCKER_CONFIG"] || (home && join(home, ".docker"));
  const host = choice.dockerHost || environment["DOCKER_HOST"];
  if (host) {
    return parseDockerHost(host, () => tlsOfEnvironment(environment, configFolder));
  }
  const context = configFolder && (await readCurrentContext(configFolder, environment["DOCKER_CONTEXT"]));
  return context
    ? parseDockerHost(context.host, async () => context.tls)
    : parseDockerHost(defaultAddress, async () => undefined);
}

/** Understands one address. `tls` is asked only where TLS can be. */
async function parseDockerHost(
  address: string,
  tls: () => Promise<DockerTls | undefined>,
): Promise<DockerEndpoint> {
  const [, scheme = "tcp", rest = ""] = /^(?:([a-z]+):\/\/)?(.*)$/i.exec(address) ?? [];
  switch (scheme.toLowerCase()) {
    case "unix":
      return { kind: "socket", address, path: rest || "/var/run/docker.sock" };
    case "npipe":
      return { kind: "socket", address, path: rest || "//./pipe/docker_engine" };
    case "tcp":
    case "http":
      return tcpEndpoint(address, rest, await tls());
    case "https":
      return tcpEndpoint(address, rest, (await tls()) ?? publicTls);
    case "ssh":
      throw unusable(
        address,
        "SSH is not supported, because the host's key would not be checked; run the agent on the host itself, or forward the engine's socket with ssh -L",
      );
    default:
      throw unusable(address, "it should be something like unix:///var/run/docker.sock or tcp://host:2376");
  }
}

const publicTls: DockerTls = { ca: undefined, cert: undefined, key: undefined, verify: true };

function tcpEndpoint(address: string, rest: string, tls: DockerTls | undefined): DockerEndpoint {
  const url = URL.parse(`http://${rest}`);
  if (url === null || url.hostname === "") {
    throw unusable(address, "it should be something like tcp://host:2376");
  }
  return {
    kind: "tcp",
    address,
    hostname: url.hostname,
    // URL leaves out a port that is HTTP's own, so a missing one is looked for in the text.
    port: Number(url.port) || (/:80(\/|$)/.test(rest) ? 80 : tls === undefined ? 2375 : 2376),
    pathPrefix: url.pathname.replace(/\/+$/, ""),
    tls,
  };
}

async function tlsOfEnvironment(
  environment: DockerEndpointChoice["environment"],
  configFolder: string | undefined,
): Promise<DockerTls | undefined> {
  const verify = Boolean(environment["DOCKER_TLS_VERIFY"]);
  if (!verify && !environment["DOCKER_TLS"]) {
    return undefined;
  }
  const folder = environment["DOCKER_CERT_PATH"] || configFolder;
  return folder ? readDockerTls(folder, verify) : { ca: undefined, cert: undefined, key: undefined, verify };
}

function unusable(address: string, why: string): FleetError {
  return new FleetError("INVALID_ARGUMENT", `the Docker host "${address}" cannot be used: ${why}`, {
    metadata: { docker_host: address },
  });
}
