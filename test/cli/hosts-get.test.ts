import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { CircuitState } from "../../src/gen/fairlead/host/v1/host_pb.js";
import { type Answers, closeApis, fairlead } from "./command-line.ts";
import { minutesAgo } from "./containers.ts";

const digest = "0a".repeat(32);

const host = {
  id: "h-1",
  name: "web-1",
  agentId: "a-1",
  online: true,
  engineAvailable: true,
  agentVersion: "0.1.0",
  labels: { site: "berlin" },
  containerCount: 3,
  runningContainerCount: 2,
  circuitState: CircuitState.OPEN,
  clockOffset: durationFromMs(-12),
  createTime: minutesAgo(60),
  facts: { engineId: "E-1", engineVersion: "27.1\u001b[31m", cpuCount: 4, memoryBytes: 2n ** 30n },
};

const answering = (more: object): Answers => ({
  hosts: { getHost: ({ host: asked }) => ({ host: { ...host, ...more, name: asked } }) },
});

describe("fairlead hosts get", () => {
  afterEach(closeApis);

  it("policy: prints what is known of a host and the rules of its owner", async () => {
    const summary = ["read_only: false", "create.images: a\nb"];
    const policy = { readOnly: false, digest, summary, problem: "line 2: x is not known" };
    const { stdout, stderr, code } = await fairlead(answering({ policy }), ["hosts", "get", "web-1"]);
    assert.equal(
      stdout,
      `NAME             web-1
ID               h-1
STATE            online, circuit open, clock off by -12 ms
LABELS           site=berlin
CONTAINERS       3, 2 running
ENGINE           27.1\\x1b[31m
ENGINE ID        E-1
SIZE             4 CPUs, 1024 MiB
AGENT            0.1.0
AGENT ID         a-1
ENROLLED         2026-01-31T11:00:00.000Z
POLICY           in force, SHA-256 ${digest}
POLICY PROBLEM   line 2: x is not known
                 read_only: false
                 create.images: a\\nb
`,
    );
    assert.deepEqual([stderr, code], ["", 0]);
  });

  it("policy: says that a host has none, or that it is read only, also when it is offline", async () => {
    const none = await fairlead(answering({ online: false }), ["hosts", "get", "web-1"]);
    assert.match(none.stdout, /STATE {8}offline\n[^]*POLICY {7}none: the host allows everything\n$/);
    const policy = { readOnly: true, digest };
    const readOnly = await fairlead(answering({ policy }), ["hosts", "get", "web-1"]);
    assert.match(readOnly.stdout, new RegExp(`POLICY +in force, SHA-256 ${digest}, read only\n$`));
    const { stdout } = await fairlead(answering({ policy }), ["hosts", "get", "web-1", "--json"]);
    assert.deepEqual((JSON.parse(stdout) as { policy: object }).policy, {
      readOnly: true,
      digest,
      summary: [],
      problem: "",
    });
  });
});
