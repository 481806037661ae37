import type { Logger } from "pino";
import { FleetError } from "../domain/errors.ts";
import type { Clock } from "../resilience/clock.ts";
import type { ApiLimits } from "../rpc/api-limits.ts";
import type { OidcConfig } from "./access/oidc.ts";
import type { CertificateFiles } from "./certificates/certificate-files.ts";
import type { DispatchSettings } from "./dispatch/dispatcher.ts";
import type { SessionSettings } from "./session/session-settings.ts";
import type { StreamSettings } from "./streams/stream-settings.ts";
import type { RetentionSettings } from "./upkeep/retention-settings.ts";

/** Where to listen. */
export interface ListenAddress {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Whose certificate both listeners show. */
export type TlsConfig =
  /** One of an authority of its own, kept in the data folder, for the machine's names and those advertised. */
  | { readonly kind: "own"; readonly advertise?: readonly string[] }
  /**
   * The operator's, in PEM; taken up again when the files change. `advertise`: names that this machine may be reached by, where the certificate has
   * none of its addresses.
   */
  | ({ readonly kind: "files"; readonly advertise?: readonly string[] } & CertificateFiles)
  /** None: plaintext, for use behind something else that encrypts. */
  | { readonly kind: "off" };

/** What a control plane is started with. */
export interface ControlPlaneConfig {
  /** Folder for the database; made when it is missing. */
  readonly dataDir: string;
  /** For agents. Default 127.0.0.1:7443. */
  readonly agentsListen?: ListenAddress;
  /** For people and services. Default 127.0.0.1:7080. */
  readonly apiListen?: ListenAddress;
  /** Default: own. */
  readonly tls?: TlsConfig;
  /**
   * Whether agents get certificates for their TLS connections from an authority of the control plane's own. "require": a reconnection without one is
   * refused. "offer": it is not, so that agents that were enrolled before get one. Needs `tls`. Default: they get none.
   */
  readonly agentMtls?: "require" | "offer";
  /**
   * Who may call the API. "keys": whoever shows an API key, or a token of `oidc`; the first start writes a key of an admin to
   * "admin.key" in the data folder. "open": whoever reaches it, for loopback addresses only. Default: keys.
   */
  readonly access?: "keys" | "open";
  /** Whose tokens are taken beside API keys. Default: nobody's. */
  readonly oidc?: OidcConfig;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** What differs from the defaults of sessions. */
  readonly session?: Partial<SessionSettings>;
  /** What differs from the defaults of commands: how many in flight, retries, circuit. */
  readonly dispatch?: Partial<DispatchSettings>;
  /** What differs from the defaults of data streams: how many, and how long a ticket may be used. */
  readonly streams?: Partial<StreamSettings>;
  /** What differs from the defaults of upkeep: how long ended commands, events and dead tokens are kept. */
  readonly retention?: Partial<RetentionSettings>;
  /** What differs from the defaults of how much of the API one key, and all together, may use at once. */
  readonly apiLimits?: Partial<ApiLimits>;
  /** Over which time agents return after a drain, in milliseconds. Default 5,000. */
  readonly reconnectAfterMs?: number;
}

export const defaultAgentsListen: ListenAddress = { host: "127.0.0.1", port: 7443 };
export const defaultApiListen: ListenAddress = { host: "127.0.0.1", port: 7080 };

/** Refuses to let others in where nothing keeps them out: an API without keys is for loopback addresses only. Throws INVALID_ARGUMENT. */
export function requireSafeAddress({ access, apiListen = defaultApiListen }: ControlPlaneConfig): void {
  const { host, port } = apiListen;
  if (access !== "open") return;
  if (host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)) return;
  throw new FleetError(
    "INVALID_ARGUMENT",
    `the API would listen on ${host}:${port}, which others can reach, and it asks for no API keys; choose a loopback address such as 127.0.0.1:${port}`,
  );
}
