import { join } from "node:path";
import type { Logger } from "pino";
import type { Environment } from "../cli/environment.ts";
import { startControlPlane } from "../control-plane/control-plane.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { apiLimitsFrom, type LimitOptions } from "./limit-options.ts";
import type { ListenOptions, LocalOptions } from "./local-process.ts";
import { oidcConfigFrom } from "./oidc-options.ts";
import type { OidcOptions } from "./oidc-options.ts";
import { tlsConfigFrom } from "./tls-options.ts";
import type { TlsOptions } from "./tls-options.ts";

/** What a control plane of this machine can be told. */
export interface ControlPlaneOptions
  extends LocalOptions,
    ListenOptions,
    TlsOptions,
    OidcOptions,
    LimitOptions {}

/** A control plane of this machine. */
export interface LocalControlPlane {
  readonly controlPlane: ControlPlane;
  /** The file with the certificate of its own authority. Undefined: it has none of its own. */
  readonly ca: string | undefined;
  readonly plaintext: boolean;
}

/** Starts a control plane as the settings say, with TLS unless they say otherwise. Rejects when it cannot start. */
export async function startLocalControlPlane(
  options: ControlPlaneOptions,
  { env }: Environment,
  logger: Logger,
): Promise<LocalControlPlane> {
  const tls = tlsConfigFrom(options, env);
  const oidc = oidcConfigFrom(options);
  const plaintext = tls.kind === "off";
  if (plaintext) {
    logger.warn("PLAINTEXT: anyone on the way can read and change everything; put what ends TLS before it");
  }
  const controlPlane = await startControlPlane({
    dataDir: options.data,
    tls,
    access: "keys",
    ...(oidc === undefined ? {} : { oidc }),
    ...(options.agentMtls === undefined ? {} : { agentMtls: options.agentMtls }),
    agentsListen: options.agentsListen ?? { host: plaintext ? "127.0.0.1" : "0.0.0.0", port: 7443 },
    apiListen: options.apiListen,
    apiLimits: apiLimitsFrom(options),
    logger,
  });
  return {
    controlPlane,
    plaintext,
    ca: tls.kind === "own" ? join(options.data, "tls", "ca.crt") : undefined,
  };
}
