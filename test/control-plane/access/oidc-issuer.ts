import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** An OpenID Connect issuer on loopback, for one test. */
export class OidcIssuer implements AsyncDisposable {
  readonly #server: Server;
  #keys: { readonly kid: string; readonly privateKey: CryptoKey; readonly jwk: JWK }[] = [];
  /** How often its keys were fetched. */
  fetches = 0;
  /** What its configuration says of itself, where that is not its URL. */
  alias: string | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Starts one, with a first key. */
  static async start(): Promise<OidcIssuer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const issuer = new OidcIssuer(server);
    server.on("request", ({ url }, response) => {
      const configuration = { issuer: issuer.alias ?? issuer.url, jwks_uri: `${issuer.url}/keys` };
      if (url === "/keys") issuer.fetches += 1;
      const body = url === "/keys" ? { keys: issuer.#keys.map(({ jwk }) => jwk) } : configuration;
      response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    });
    await issuer.addKey("first");
    return issuer;
  }

  /** Its URL. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Signs with a new key from now on. */
  async addKey(kid: string): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: "ES256" };
    this.#keys = [{ kid, privateKey, jwk }, ...this.#keys];
  }

  /** Its newest public key, as anybody may have it. */
  get publicKey(): JWK {
    return this.#newest.jwk;
  }

  /** A token for "fairlead" of a person who may do something, unless `claims` say otherwise; some can be left out. */
  async token(claims: JWTPayload = {}, without: readonly string[] = []): Promise<string> {
    const { kid, privateKey } = this.#newest;
    const seconds = Math.floor(Date.now() / 1_000);
    const usual = { iss: this.url, aud: "fairlead", sub: "ann", roles: ["fairlead:viewer"] };
    const all = Object.entries({ ...usual, iat: seconds, exp: seconds + 600, ...claims });
    return new SignJWT(Object.fromEntries(all.filter(([name]) => !without.includes(name))))
      .setProtectedHeader({ alg: "ES256", kid })
      .sign(privateKey);
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get #newest() {
    const [newest] = this.#keys;
    if (newest === undefined) throw new Error("it has no key");
    return newest;
  }
}
