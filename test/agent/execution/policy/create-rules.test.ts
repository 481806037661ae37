import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { brokenCreateRule } from "../../../../src/agent/execution/policy/create-rules.ts";
import { imageMatches } from "../../../../src/agent/execution/policy/image-pattern.ts";
import { type CreateRules, openPolicy } from "../../../../src/agent/execution/policy/policy.ts";
import { matchesWildcard } from "../../../../src/agent/execution/policy/wildcard.ts";
import {
  ContainerSpecSchema,
  MountSpec_Type,
  PortBinding_Protocol,
} from "../../../../src/gen/fairlead/container/v1/container_spec_pb.js";

async function broken(
  rules: Partial<CreateRules>,
  init: MessageInitShape<typeof ContainerSpecSchema>,
): Promise<string | undefined> {
  const spec = create(ContainerSpecSchema, { image: "nginx:1.27", ...init });
  return (await brokenCreateRule({ ...openPolicy.create, ...rules }, spec))?.rule;
}

const bind = (source: string) => ({ mounts: [{ type: MountSpec_Type.BIND, source, target: "/inside" }] });

describe("patterns with wildcards", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", ".", "/"), maxLength: 12 });

  it("policy: match as the same pattern written as a regular expression does", () => {
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", ".", "/", "*"), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (wild, given) => {
        const source = wild
          .split("*")
          .map((part) => RegExp.escape(part))
          .join("[^]*");
        assert.equal(matchesWildcard(wild, given), new RegExp(`^(?:${source})$`).test(given));
      }),
      { numRuns: 3000 },
    );
  });

  it("policy: match whatever stands where their stars are, and take no longer for being odd", () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1 }), fc.array(text), (parts, fillings) => {
        const given = parts.reduce((sum, part, index) => `${sum}${fillings[index] ?? ""}${part}`);
        assert.ok(matchesWildcard(parts.join("*"), given));
      }),
    );
    assert.equal(matchesWildcard("*a".repeat(200), "a".repeat(199)), false);
    assert.equal(matchesWildcard(`${"*a".repeat(200)}b`, "a".repeat(500)), false);
  });
});

describe("the rules about a new container", () => {
  it("policy: allow everything where they say nothing", async () => {
    const all = { privileged: true, networks: ["host"], ports: [{ containerPort: 80, hostPort: 80 }] };
    assert.equal(await broken({}, { ...all, ...bind("/") }), undefined);
  });

  it("policy: refuse privileges, the host's network and that of another container", async () => {
    assert.equal(await broken({ privileged: "deny" }, { privileged: true }), "create.privileged");
    assert.equal(await broken({ privileged: "deny" }, { privileged: false }), undefined);
    for (const network of ["host", "container:abc"]) {
      assert.equal(await broken({ hostNetwork: "deny" }, { networks: [network] }), "create.host_network");
    }
    assert.equal(await broken({ hostNetwork: "deny" }, { networks: ["shop"] }), undefined);
  });

  it("policy: allow images by pattern, with the tag that is meant", () => {
    const cases: readonly (readonly [pattern: string, image: string, matches: boolean])[] = [
      ["nginx", "nginx:latest", true],
      ["nginx:latest", "nginx", true],
      ["nginx", "nginx:1.27", false],
      ["nginx:*", "nginx", true],
      ["nginx:*", "nginx-evil:1", false],
      ["registry.example.com/*", "registry.example.com/team/app:2", true],
      ["registry.example.com/*", "registry.example.com.evil.org/app", false],
      ["registry.example.com:5000/app", "registry.example.com:5000/app:latest", true],
      ["*@sha256:*", "app@sha256:0a", true],
      ["nginx:*", "sha256:0a", false],
    ];
    for (const [pattern, image, matches] of cases) {
      assert.equal(imageMatches(pattern, image), matches, `${pattern} ${image}`);
    }
  });

  it("policy: refuse every image that no pattern matches", async () => {
    assert.equal(await broken({ images: ["redis:*"] }, {}), "create.images");
    assert.equal(await broken({ images: ["redis:*", "nginx:*"] }, {}), undefined);
  });

  it("policy: allow exactly the ports of their ranges", async () => {
    const port = fc.integer({ min: 0, max: 65_535 });
    const end = fc.integer({ min: 1, max: 65_535 });
    await fc.assert(
      fc.asyncProperty(port, end, end, fc.boolean(), async (hostPort, one, other, isUdp) => {
        const [first, last] = [Math.min(one, other), Math.max(one, other)];
        const ports = [
          {
            containerPort: 1,
            hostPort,
            protocol: isUdp ? PortBinding_Protocol.UDP : PortBinding_Protocol.TCP,
          },
        ];
        const isInside = first <= hostPort && hostPort <= last;
        const any = [{ first, last, protocol: undefined }];
        assert.equal((await broken({ publishedPorts: any }, { ports })) === undefined, isInside);
        const udp = [{ first, last, protocol: "udp" as const }];
        assert.equal((await broken({ publishedPorts: udp }, { ports })) === undefined, isInside && isUdp);
      }),
    );
    const free = { ports: [{ containerPort: 80 }] };
    assert.equal(await broken({ publishedPorts: "deny" }, free), "create.published_ports");
    assert.equal(
      await broken({ publishedPorts: [{ first: 0, last: 0, protocol: undefined }] }, free),
      undefined,
    );
    assert.equal(await broken({ publishedPorts: "deny" }, {}), undefined);
  });

  it("policy: allow a path of the host only at or below their own, however it is written", async () => {
    const bindMounts = ["/srv/data", "/nowhere"];
    const good = [
      "/srv/data",
      "/srv/data/",
      "/srv/data/a/b",
      "//srv//data/a",
      "/srv/./data",
      "/nowhere/x..y",
    ];
    const bad = [
      [
        "/",
        "/srv",
        "/srv/database",
        "/etc",
        "srv/data",
        "",
        "./srv/data",
        "/srv/data/..",
        "/srv/data/../../etc",
      ],
      ["/srv/data/a/../../../etc", "/nowhere/../etc/passwd", "/proc/self/root", "\\srv\\data"],
    ].flat();
    for (const source of good) assert.equal(await broken({ bindMounts }, bind(source)), undefined, source);
    for (const source of bad) {
      assert.equal(await broken({ bindMounts }, bind(source)), "create.bind_mounts", source);
    }
    assert.equal(await broken({ bindMounts: "deny" }, bind("/srv/data")), "create.bind_mounts");
    assert.equal(await broken({ bindMounts: ["/"] }, bind("/etc")), undefined);
  });

  it("policy: let no path out of its folder", async () => {
    const part = fc.constantFrom("srv", "data", "..", ".", "", "etc");
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 8 }), async (parts) => {
        const source = `/${parts.join("/")}`;
        if ((await broken({ bindMounts: ["/srv/data"] }, bind(source))) !== undefined) return;
        const real = new URL(source.replaceAll(/\/+/g, "/"), "file:///").pathname;
        assert.match(real, /^\/srv\/data(\/|$)/);
      }),
      { numRuns: 2000 },
    );
  });

  it("policy: refuse a path that leads out by a symbolic link", async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), "fairlead-policy-")));
    try {
      await mkdir(join(folder, "allowed"));
      await mkdir(join(folder, "secret"));
      await symlink(join(folder, "secret"), join(folder, "allowed", "link"));
      await symlink(join(folder, "allowed"), join(folder, "alias"));
      const rules = { bindMounts: [join(folder, "allowed"), join(folder, "alias")] };
      assert.equal(await broken(rules, bind(join(folder, "allowed", "link"))), "create.bind_mounts");
      assert.equal(await broken(rules, bind(join(folder, "allowed"))), undefined);
      assert.equal(await broken(rules, bind(join(folder, "alias"))), undefined);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("policy: leave volumes and memory alone", async () => {
    const mounts = [
      { type: MountSpec_Type.VOLUME, source: "shop", target: "/a" },
      { type: MountSpec_Type.TMPFS, target: "/b" },
    ];
    assert.equal(await broken({ bindMounts: "deny" }, { mounts }), undefined);
  });

  // A new field may be a new way to reach the host: give it its rule, or say here that it needs none.
  it("policy: were made with every field of a specification in mind", () => {
    assert.deepEqual(
      ContainerSpecSchema.fields.map(({ name }) => name),
      [
        ["image", "command", "entrypoint", "environment", "ports", "mounts", "networks", "restart_policy"],
        ["limits", "labels", "health_check", "hostname", "user", "working_directory", "tty", "stdin_open"],
        ["auto_remove", "init", "stop_signal", "stop_grace_period", "read_only", "privileged"],
      ].flat(),
    );
  });
});
