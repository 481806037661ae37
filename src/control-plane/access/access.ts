import { join } from "node:path";
import type { Logger } from "pino";
import { parseApiKey } from "../../domain/api-key.ts";
import { Role } from "../../gen/fairlead/access/v1/role_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { Authenticate } from "../../rpc/caller.ts";
import type { Storage } from "../../storage/storage.ts";
import type { EventLog } from "../events/event-log.ts";
import { ApiKeys } from "./api-keys.ts";
import { Authenticator } from "./authenticator.ts";
import { Expiries } from "./credential.ts";
import { keyOfFile, writeKeyFile } from "./key-file.ts";
import { KeyUses } from "./key-uses.ts";
import { KeyVerifier } from "./key-verifier.ts";
import { type OidcConfig, OidcVerifier } from "./oidc.ts";

/** What access is made of. */
export interface AccessParts {
  /** "keys": who calls must show an API key or a token. "open": whoever reaches the API may do everything. */
  readonly mode: "keys" | "open";
  readonly oidc?: OidcConfig | undefined;
  /** Folder for the admin's key file. */
  readonly dataDir: string;
  readonly storage: Storage;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who may call the API, and the keys for it. To be closed. */
export class Access {
  /** For the API's listener. */
  readonly authenticate: Authenticate;
  readonly keys: ApiKeys;
  /** Where the first admin's key is. Undefined: calls need no key. */
  readonly keyFile: string | undefined;
  readonly #parts: AccessParts;
  readonly #verifier: KeyVerifier;
  readonly #uses: KeyUses;
  readonly #expiries: Expiries;

  constructor(parts: AccessParts) {
    this.#parts = parts;
    this.#expiries = new Expiries(parts.clock);
    const shared = { ...parts, expiries: this.#expiries };
    this.#uses = new KeyUses(parts);
    this.#verifier = new KeyVerifier(shared);
    this.keys = new ApiKeys({ ...parts, verifier: this.#verifier });
    const tokens = parts.oidc === undefined ? undefined : new OidcVerifier({ ...shared, ...parts.oidc });
    const authenticator = new Authenticator({
      ...parts,
      verifier: this.#verifier,
      uses: this.#uses,
      tokens,
    });
    this.authenticate =
      parts.mode === "open"
        ? () => ({ name: "local", role: Role.ADMIN })
        : (headers, address) => authenticator.authenticate(headers, address);
    this.keyFile = parts.mode === "open" ? undefined : join(parts.dataDir, "admin.key");
  }

  /**
   * Sees to it that somebody can manage keys: makes an admin's key where there is none (any more), and writes it to the key
   * file. A key file that is there and good is told where the API is now.
   */
  async writeKeyFile(server: string, ca: string | undefined): Promise<void> {
    const { keyFile } = this;
    if (keyFile === undefined) return;
    const place = { server, ...(ca === undefined ? {} : { ca }) };
    const { storage, clock, logger } = this.#parts;
    if (await storage.keys.hasAdmin(clock.now())) {
      const apiKey = await this.#ownKey(keyFile);
      if (apiKey !== undefined) await writeKeyFile(keyFile, { apiKey, ...place });
      return;
    }
    await this.keys.createFirst((apiKey) => writeKeyFile(keyFile, { apiKey, ...place }));
    logger.info({ file: keyFile }, "an API key for the admin was written; keep it safe");
  }

  /** Writes what is still to be written, and stops timers. */
  async close(): Promise<void> {
    this.#expiries.close();
    await this.#uses.write();
  }

  async #ownKey(path: string): Promise<string | undefined> {
    const apiKey = await keyOfFile(path);
    const parts = apiKey === undefined ? undefined : parseApiKey(apiKey);
    const verdict = parts === undefined ? undefined : await this.#verifier.verify(parts);
    return verdict?.kind === "good" ? apiKey : undefined;
  }
}
