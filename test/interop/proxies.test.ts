import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { startAgent } from "../../src/agent/agent.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { CertificateAuthority } from "../../src/control-plane/certificates/certificate-authority.ts";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { presenting } from "../support/api-place.ts";
import { eventually, testControlPlane } from "../support/control-plane-harness.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { requireTool } from "../support/require-tool.ts";

const page = readFileSync(new URL("../../docs/proxies.md", import.meta.url), "utf8");

/** The configuration as it is printed, with the test's own ports and files in place of the page's. */
function configuration(language: string, replacements: Readonly<Record<string, string>>): string {
  const [, block] = new RegExp(`\`\`\`${language}\n([^]*?)\n\`\`\``).exec(page) ?? [];
  assert.ok(block !== undefined, `the page has a configuration for ${language}`);
  return Object.entries(replacements).reduce((text, [printed, real]) => {
    assert.ok(text.includes(printed), `${printed} is in the configuration for ${language}`);
    return text.replaceAll(printed, real);
  }, block);
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ["-v"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

type Write = (
  folder: string,
  ports: { agents: number; api: number },
  behind: { agents: number; api: number; ca: string },
  own: { cert: string; key: string },
) => string[];

const proxies: Readonly<Record<string, Write>> = {
  nginx: (folder, ports, behind, own) => {
    const text = configuration("nginx", {
      "listen 8443;": `listen 127.0.0.1:${ports.agents};`,
      "listen 8080 ssl": `listen 127.0.0.1:${ports.api} ssl`,
      "127.0.0.1:7443": `127.0.0.1:${behind.agents}`,
      "127.0.0.1:7080": `127.0.0.1:${behind.api}`,
      "/etc/ssl/fleet.example.com.crt": own.cert,
      "/etc/ssl/fleet.example.com.key": own.key,
      "/var/lib/fairlead/tls/ca.crt": behind.ca,
      "worker_processes auto;": "worker_processes 1;",
    });
    const path = join(folder, "nginx.conf");
    const modules = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;";
    writeFileSync(
      path,
      `${modules}\npid ${join(folder, "nginx.pid")};\nerror_log stderr;\n${text.replace("http {", `http {\naccess_log off;`)}\n`,
    );
    return ["-c", path, "-p", folder, "-g", "daemon off;"];
  },
  haproxy: (folder, ports, behind, own) => {
    const pem = join(folder, "own.pem");
    writeFileSync(pem, readFileSync(own.cert, "utf8") + readFileSync(own.key, "utf8"));
    const path = join(folder, "haproxy.cfg");
    const text = configuration("haproxy", {
      "maxconn 20000": "maxconn 500",
      "bind :8443": `bind 127.0.0.1:${ports.agents}`,
      "bind :8080": `bind 127.0.0.1:${ports.api}`,
      "127.0.0.1:7443": `127.0.0.1:${behind.agents}`,
      "127.0.0.1:7080": `127.0.0.1:${behind.api}`,
      "/etc/ssl/fleet.example.com.pem": pem,
      "/var/lib/fairlead/tls/ca.crt": behind.ca,
    });
    writeFileSync(path, `${text}\n`);
    return ["-f", path, "-db"];
  },
};

for (const [program, write] of Object.entries(proxies)) {
  describe(`behind ${program}, as docs/proxies.md prints it`, () => {
    let folder: string;
    let child: ChildProcess | undefined;
    before(function () {
      requireTool(this, program, isInstalled(program));
    });
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "fairlead-proxy-"));
    });
    afterEach(async () => {
      if (child?.exitCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      child = undefined;
      rmSync(folder, { recursive: true });
    });

    it("V07 an agent enrols through it, and every protocol of the API works, streams too", async function () {
      this.timeout(30_000);
      await using plane = await testControlPlane();
      const { agentsAddress, apiAddress, createToken } = plane.controlPlane;
      const authority = await CertificateAuthority.create(systemClock);
      const issued = await authority.issueServer(["localhost"]);
      const own = { cert: join(folder, "own.crt"), key: join(folder, "own.key") };
      writeFileSync(own.cert, issued.certificate);
      writeFileSync(own.key, issued.privateKey);
      const ports = { agents: await freePort(), api: await freePort() };
      const behind = {
        agents: agentsAddress.port,
        api: apiAddress.port,
        ca: join(plane.dataDir, "tls", "ca.crt"),
      };
      child = spawn(program, write(folder, ports, behind, own), { stdio: ["ignore", "ignore", "inherit"] });
      await eventually(() => accepts(ports.agents), `${program} listens`);

      const engine = new SimulatedEngine({ clock: systemClock });
      const agent = await startAgent({
        server: `localhost:${ports.agents}`,
        token: await createToken("proxied"),
        dataDir: join(folder, "agent"),
        engine,
        logger: silentLogger,
      });
      await agent.ready;
      const baseUrl = `https://localhost:${ports.api}`;
      const nodeOptions = { ca: authority.certificate };
      const interceptors = [presenting(plane.adminKey ?? "")];
      const transports: readonly Transport[] = [
        createConnectTransport({ baseUrl, httpVersion: "1.1", nodeOptions, interceptors }),
        createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions, interceptors }),
        createGrpcTransport({ baseUrl, nodeOptions, interceptors }),
      ];
      for (const transport of transports) {
        const { hosts } = await createClient(HostService, transport).listHosts({});
        assert.deepEqual(
          hosts.map(({ online }) => online),
          [true],
        );
        for await (const { cursor } of createClient(EventService, transport).watchEvents({
          afterSequence: 0n,
        })) {
          if (cursor > 0n) break;
        }
      }
      await agent.close();
    });
  });
}
