import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DockerEndpoint, resolveDockerEndpoint } from "../../../src/agent/engine/docker-endpoint.ts";
import { refused } from "../../support/engine-kit.ts";

describe("agent/engine: where the Docker Engine is", () => {
  let home: string;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "fairlead-home-"));
  });
  afterEach(async () => {
    await rm(home, { recursive: true, force: true });
  });

  const resolve = (
    dockerHost: string | undefined,
    environment: Record<string, string> = {},
  ): Promise<DockerEndpoint> => resolveDockerEndpoint({ dockerHost, environment, homeDirectory: home });

  const addressOf = async (...choice: Parameters<typeof resolve>) => (await resolve(...choice)).address;

  async function addContext(name: string, docker: object): Promise<void> {
    const digest = createHash("sha256").update(name).digest("hex");
    const meta = join(home, ".docker", "contexts", "meta", digest);
    await mkdir(meta, { recursive: true });
    await writeFile(join(meta, "meta.json"), JSON.stringify({ Name: name, Endpoints: { docker } }));
  }

  async function useContext(name: string): Promise<void> {
    await mkdir(join(home, ".docker"), { recursive: true });
    await writeFile(join(home, ".docker", "config.json"), JSON.stringify({ currentContext: name }));
  }

  it("O20 without any word it is the usual socket", async () => {
    const usual = { kind: "socket", address: "unix:///var/run/docker.sock", path: "/var/run/docker.sock" };
    assert.deepEqual(await resolve(undefined), usual);
    assert.deepEqual(await resolve(""), usual);
    await useContext("default");
    assert.deepEqual(await resolve(undefined), usual);
  });

  it("O20 the explicit host goes before DOCKER_HOST, that before the context, DOCKER_CONTEXT before the configured one", async () => {
    await addContext("rootless", { Host: "unix:///run/user/1000/docker.sock" });
    await addContext("other", { Host: "unix:///other.sock" });
    await useContext("rootless");
    assert.equal(await addressOf(undefined), "unix:///run/user/1000/docker.sock");
    assert.equal(await addressOf(undefined, { DOCKER_CONTEXT: "other" }), "unix:///other.sock");
    const environment = { DOCKER_HOST: "unix:///environment.sock", DOCKER_CONTEXT: "other" };
    assert.equal(await addressOf(undefined, environment), "unix:///environment.sock");
    assert.equal(await addressOf("unix:///explicit.sock", environment), "unix:///explicit.sock");
  });

  it("O20 TCP has Docker's own ports, and TLS when the environment or the scheme says so", async () => {
    await writeFile(join(home, "ca.pem"), "the ca");
    const plain = await resolve("tcp://engine.example");
    assert.deepEqual(plain, {
      kind: "tcp",
      address: "tcp://engine.example",
      hostname: "engine.example",
      port: 2375,
      pathPrefix: "",
      tls: undefined,
    });
    const secure = await resolve("tcp://[::1]", { DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: home });
    assert.ok(secure.kind === "tcp");
    assert.deepEqual([secure.hostname, secure.port, secure.tls?.verify], ["[::1]", 2376, true]);
    assert.equal(secure.tls?.ca?.toString(), "the ca");
    const behindProxy = await resolve("https://engine.example:443/docker/");
    assert.ok(behindProxy.kind === "tcp" && behindProxy.tls?.verify);
    assert.deepEqual([behindProxy.port, behindProxy.pathPrefix], [443, "/docker"]);
    const portEighty = await resolve("tcp://engine.example:80");
    assert.ok(portEighty.kind === "tcp" && portEighty.port === 80);
  });

  it("O20 a context brings its own TLS", async () => {
    await addContext("far", { Host: "tcp://far.example:2376", SkipTLSVerify: false });
    const digest = createHash("sha256").update("far").digest("hex");
    const folder = join(home, ".docker", "contexts", "tls", digest, "docker");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "cert.pem"), "the certificate");
    const endpoint = await resolve(undefined, { DOCKER_CONTEXT: "far" });
    assert.ok(endpoint.kind === "tcp");
    assert.equal(endpoint.tls?.cert?.toString(), "the certificate");
  });

  it("O20 what cannot be used is refused with what would be right", async () => {
    await refused(resolve("ftp://x"), "INVALID_ARGUMENT", "unix:///var/run/docker.sock");
    await refused(resolve("ssh://me@there"), "INVALID_ARGUMENT", "ssh -L");
    await refused(resolve("tcp://"), "INVALID_ARGUMENT", "tcp://host:2376");
    await refused(resolve(undefined, { DOCKER_CONTEXT: "nobody" }), "INVALID_ARGUMENT", '"nobody"');
    await mkdir(join(home, ".docker"));
    await writeFile(join(home, ".docker", "config.json"), "{");
    await refused(resolve(undefined), "INVALID_ARGUMENT", "config.json");
  });
});
