import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { containerFromInspection } from "../../../src/agent/engine/docker-container.ts";
import type { DockerInspection } from "../../../src/agent/engine/docker-json.ts";
import { momentFromRfc3339 } from "../../../src/agent/engine/rfc3339.ts";
import {
  ContainerSchema,
  ContainerState,
  HealthState,
} from "../../../src/gen/fairlead/container/v1/container_pb.js";

const observed = { seconds: 1n, nanos: 2 };

describe("agent/engine: Docker's inspection as a container", () => {
  it("O10 of more labels than can be told the one that protects is kept", () => {
    const others = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`a.label.${index}`, ""]));
    const inspection = { Id: "a", Config: { Labels: { ...others, "dev.fairlead.protected": "true" } } };
    const { labels = {} } = containerFromInspection(inspection, observed);
    assert.equal(labels["dev.fairlead.protected"], "true");
    assert.equal(Object.keys(labels).length, 512);
  });

  it("O09 ports published on all addresses of both families are told once, beside those only exposed", () => {
    const { ports } = containerFromInspection(
      {
        Id: "a",
        Config: { ExposedPorts: { "80/tcp": {}, "443/tcp": {}, "53/udp": {} } },
        NetworkSettings: {
          Ports: {
            "443/tcp": null,
            "80/tcp": [
              { HostIp: "0.0.0.0", HostPort: "8080" },
              { HostIp: "::", HostPort: "8080" },
              { HostIp: "127.0.0.1", HostPort: "8081" },
            ],
          },
        },
      },
      observed,
    );
    assert.deepEqual(ports, [
      { containerPort: 53, hostPort: 0, hostIp: "", protocol: "udp" },
      { containerPort: 80, hostPort: 8080, hostIp: "", protocol: "tcp" },
      { containerPort: 80, hostPort: 8081, hostIp: "127.0.0.1", protocol: "tcp" },
      { containerPort: 443, hostPort: 0, hostIp: "", protocol: "tcp" },
    ]);
  });

  it("O09 every state and health of Docker has ours, and an unknown one is none", () => {
    assert.deepEqual(
      ["created", "running", "paused", "restarting", "removing", "exited", "dead", "constructor"].map(
        stateOf,
      ),
      [
        ContainerState.CREATED,
        ContainerState.RUNNING,
        ContainerState.PAUSED,
        ContainerState.RESTARTING,
        ContainerState.REMOVING,
        ContainerState.EXITED,
        ContainerState.DEAD,
        ContainerState.UNSPECIFIED,
      ],
    );
    assert.deepEqual(["none", "starting", "healthy", "unhealthy"].map(healthOf), [
      HealthState.UNSPECIFIED,
      HealthState.STARTING,
      HealthState.HEALTHY,
      HealthState.UNHEALTHY,
    ]);
  });

  it("O09 times keep their nanoseconds, and Go's zero time is none", () => {
    assert.deepEqual(momentFromRfc3339("2026-01-02T03:04:05.123456789Z"), {
      seconds: 1767323045n,
      nanos: 123_456_789,
    });
    assert.deepEqual(momentFromRfc3339("2026-01-02T05:04:05.5+02:00"), {
      seconds: 1767323045n,
      nanos: 500_000_000,
    });
    assert.equal(momentFromRfc3339("0001-01-01T00:00:00Z"), undefined);
    assert.equal(momentFromRfc3339("yesterday"), undefined);
  });

  it("S13 an odd container is told with less detail instead of breaking a bound", () => {
    const long = "🚢".repeat(20_000);
    const odd: DockerInspection = {
      Id: "a".repeat(64),
      Name: `/${long}`,
      Image: long,
      Path: long,
      Args: [long, "\ud800"],
      RestartCount: -1,
      State: { ExitCode: 2 ** 32 - 1 },
      Config: {
        Image: long,
        Labels: Object.fromEntries([
          ["kept", "as it is"],
          ["long value", long],
          [long, "long key"],
          ...Array.from({ length: 1000 }, (_, index) => [`label-${index}`, "x"]),
        ]) as Record<string, string>,
      },
      Mounts: [
        { Type: "bind", Source: long, Destination: "/a" },
        ...Array.from({ length: 600 }, (_, index) => ({
          Type: "bind",
          Source: "/",
          Destination: `/m${index}`,
        })),
      ],
      NetworkSettings: {
        Ports: Object.fromEntries(
          Array.from({ length: 3000 }, (_, index) => [`${index + 1}/tcp`, [{ HostPort: `${index + 1}` }]]),
        ),
        Networks: { [long]: { IPAddress: "1.2.3.4" }, fine: null },
      },
    };
    const container = containerFromInspection(odd, observed);
    const result = createValidator().validate(ContainerSchema, create(ContainerSchema, container));
    assert.equal(result.kind, "valid", String(result.error));
    assert.equal([...(container.command ?? "")].length, 1024);
    assert.ok(container.command?.isWellFormed());
    assert.equal(container.labels?.["kept"], "as it is");
    assert.equal(container.labels?.["long value"], undefined);
    assert.equal(container.exitCode, -1);
    assert.deepEqual(
      container.networks?.map(({ name }) => name),
      ["fine"],
    );
  });
});

function stateOf(status: string) {
  return containerFromInspection({ Id: "a", State: { Status: status } }, observed).state;
}

function healthOf(status: string) {
  return containerFromInspection({ Id: "a", State: { Health: { Status: status } } }, observed).health;
}
