import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FleetError } from "../../src/domain/errors.ts";
import { OfflinePolicy } from "../../src/gen/fairlead/command/v1/offline_policy_pb.js";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import type { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import type { CreateContainerRequest } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { type Answers, closeApis, fairlead, fairleadAlone } from "./command-line.ts";
import { containerOf } from "./containers.ts";

type Asked = Readonly<Record<string, unknown>>;

/** Answers every acting call, and keeps what was asked, without what is empty. */
function acting(refused: Readonly<Record<string, FleetError>> = {}) {
  const asked: [string, Asked][] = [];
  const act = (method: keyof typeof ContainerService.method) => (request: object) => {
    const fields = Object.entries(request).filter(
      ([name, value]) => !name.startsWith("$") && value !== "" && value !== false && value !== 0,
    );
    asked.push([method, Object.fromEntries(fields)]);
    const { container } = request as { container: string };
    const error = refused[container];
    if (error !== undefined) {
      throw error;
    }
    const queued = (request as { offlinePolicy: OfflinePolicy }).offlinePolicy === OfflinePolicy.QUEUE;
    return {
      container: containerOf({ name: container }),
      changed: true,
      commandId: `c-${container}`,
      queued,
    };
  };
  const answers: Answers = {
    containers: {
      startContainer: act("startContainer"),
      stopContainer: act("stopContainer"),
      restartContainer: act("restartContainer"),
      killContainer: act("killContainer"),
      pauseContainer: act("pauseContainer"),
      unpauseContainer: act("unpauseContainer"),
      renameContainer: act("renameContainer"),
      removeContainer: act("removeContainer"),
    },
  };
  return { asked, answers };
}

const seconds = (count: number) => ({
  $typeName: "google.protobuf.Duration",
  seconds: BigInt(count),
  nanos: 0,
});

const at = (text: string, nanos = 0) => ({
  $typeName: "google.protobuf.Timestamp",
  seconds: BigInt(Date.parse(text) / 1_000),
  nanos,
});

describe("acting on containers from the command line", () => {
  afterEach(closeApis);

  const lines: Readonly<Record<string, readonly [string, Asked]>> = {
    "start web": ["startContainer", { container: "web" }],
    "start web-1/web": ["startContainer", { container: "web", host: "web-1" }],
    "start --host web-1 web": ["startContainer", { container: "web", host: "web-1" }],
    "start web --request-id k --timeout 1m": [
      "startContainer",
      { container: "web", requestId: "k", timeout: seconds(60) },
    ],
    "start --wait web": ["startContainer", { container: "web", offlinePolicy: OfflinePolicy.WAIT }],
    "pause --if-state running --if-image sha256:ab web": [
      "pauseContainer",
      {
        container: "web",
        preconditions: {
          $typeName: "fairlead.container.v1.Preconditions",
          expectedImageDigest: "sha256:ab",
          expectedState: ContainerState.RUNNING,
        },
      },
    ],
    "kill --if-started 2026-01-31T11:00:00.123456789Z web": [
      "killContainer",
      {
        container: "web",
        preconditions: {
          $typeName: "fairlead.container.v1.Preconditions",
          expectedImageDigest: "",
          expectedState: ContainerState.UNSPECIFIED,
          expectedStartedTime: at("2026-01-31T11:00:00Z", 123_456_789),
        },
      },
    ],
    "stop -t 60 web": ["stopContainer", { container: "web", gracePeriod: seconds(60) }],
    "stop -t 0 web": ["stopContainer", { container: "web", gracePeriod: seconds(0) }],
    "restart --time 5 web": ["restartContainer", { container: "web", gracePeriod: seconds(5) }],
    "kill web": ["killContainer", { container: "web" }],
    "kill -s HUP web": ["killContainer", { container: "web", signal: "HUP" }],
    "pause web": ["pauseContainer", { container: "web" }],
    "unpause web": ["unpauseContainer", { container: "web" }],
    "rm -fv web": ["removeContainer", { container: "web", force: true, removeVolumes: true }],
  };
  for (const [line, request] of Object.entries(lines)) {
    it(`O04 ${line}`, async () => {
      const { asked, answers } = acting();
      const { code, stdout, stderr } = await fairlead(answers, line.split(" "));
      const name = line.split(" ").find((word) => word.endsWith("web"));
      assert.deepEqual([code, stdout, stderr], [0, `${name}\n`, ""]);
      assert.deepEqual(asked, [request]);
    });
  }

  for (const [expires, time] of [
    ["2h", "2026-01-31T14:00:00Z"],
    ["2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"],
  ] as const) {
    it(`C30 --queue --expires ${expires} prints the command's id, and tells a person how to follow it`, async () => {
      const { asked, answers } = acting();
      const line = ["stop", "--queue", "--expires", expires, "web"];
      const { code, stdout, stderr } = await fairlead(answers, line, { isErrorTTY: true });
      assert.deepEqual([code, stdout], [0, "c-web\n"]);
      assert.match(stderr, /`fairlead commands wait c-web` waits.*`fairlead commands cancel c-web`/);
      const offlinePolicy = OfflinePolicy.QUEUE;
      assert.deepEqual(asked, [["stopContainer", { container: "web", offlinePolicy, expireTime: at(time) }]]);
    });
  }

  it("C30 a rename, too, can be queued, and --json says that it was", async () => {
    const { answers } = acting();
    assert.equal((await fairlead(answers, ["rename", "--queue", "web", "shop"])).stdout, "c-web\n");
    const { stdout } = await fairlead(answers, ["start", "--queue", "--json", "web"]);
    const [answer] = JSON.parse(stdout) as { queued: boolean; commandId: string }[];
    assert.deepEqual([answer?.queued, answer?.commandId], [true, "c-web"]);
  });

  for (const wrong of [
    ["--wait", "--queue"],
    ["--expires", "2h"],
    ["--queue", "--expires", "soon"],
    ["--if-state", "happy"],
    ["--if-started", "yesterday"],
  ]) {
    it(`refuses stop ${wrong.join(" ")} before anything is asked`, async () => {
      const { asked, answers } = acting();
      assert.equal((await fairlead(answers, ["stop", ...wrong, "web"])).code, 2);
      assert.deepEqual(asked, []);
    });
  }

  it("C37 says that nobody knows whether it took effect, and what to look at", async () => {
    const lost = new FleetError("OUTCOME_UNKNOWN", "the agent lost its journal", {
      metadata: { command_id: "c-7" },
    });
    const { code, stderr } = await fairlead(acting({ web: lost }).answers, ["restart", "web"]);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      "fairlead: the agent lost its journal (OUTCOME_UNKNOWN, command c-7)\n" +
        "  Nobody can know whether it took effect. Look at the container, with `fairlead inspect`, before you do it again; " +
        "`fairlead commands get c-7` tells the rest.\n",
    );
  });

  it("O04 rename prints nothing, as docker does", async () => {
    const { asked, answers } = acting();
    assert.deepEqual(await fairlead(answers, ["rename", "web-1/web", "shop"]), {
      code: 0,
      stdout: "",
      stderr: "",
    });
    assert.deepEqual(asked, [["renameContainer", { container: "web", host: "web-1", newName: "shop" }]]);
  });

  it("prints the names of several in the order given, one sentence for each failure, and ends with 1", async () => {
    const { answers } = acting({
      no: new FleetError("CONTAINER_NOT_FOUND", 'no container "no"'),
      locked: new FleetError("PROTECTED_CONTAINER", "the agent\u001b[2J runs in it", {
        metadata: { command_id: "c-9" },
      }),
    });
    assert.deepEqual(await fairlead(answers, ["stop", "a", "no", "b", "locked"]), {
      code: 1,
      stdout: "a\nb\n",
      stderr: `fairlead: no: no container "no" (CONTAINER_NOT_FOUND)
  \`fairlead ps -a\` lists all containers.
fairlead: locked: the agent\\x1b[2J runs in it (PROTECTED_CONTAINER, command c-9)
`,
    });
  });

  it("with --json answers come as one document and failures as lines on standard error", async () => {
    const { answers } = acting({
      no: new FleetError("NAME_IN_USE", "taken", { metadata: { command_id: "c-9" }, retryAfterMs: 5 }),
    });
    const { code, stdout, stderr } = await fairlead(answers, ["stop", "--json", "a", "no"]);
    const [answer] = JSON.parse(stdout) as {
      container: { name: string };
      commandId: string;
      changed: boolean;
    }[];
    assert.deepEqual([answer?.container.name, answer?.commandId, answer?.changed], ["a", "c-a", true]);
    assert.deepEqual(JSON.parse(stderr), {
      error: {
        reason: "NAME_IN_USE",
        message: "taken",
        commandId: "c-9",
        subject: "no",
        metadata: { command_id: "c-9" },
        violations: [],
        retryAfterMs: 5,
      },
    });
    assert.equal(code, 1);
  });

  it("O05 says on a terminal that nothing changed, and still succeeds", async () => {
    const answers: Answers = { containers: { startContainer: () => ({ changed: false, commandId: "c" }) } };
    const { code, stdout, stderr } = await fairlead(answers, ["start", "web"], { isErrorTTY: true });
    assert.deepEqual([code, stdout, stderr], [0, "web\n", "fairlead: web was so already, nothing changed\n"]);
  });

  it("V02 names every field that the API refuses", async () => {
    const { code, stderr } = await fairlead(acting().answers, ["kill", "-s", "!!", "x".repeat(300)]);
    assert.equal(code, 1);
    assert.match(stderr, /^fairlead: (x+: )?container: [^;]*; signal: [^;]* \(INVALID_ARGUMENT\)\n$/);
  });

  it("C03 a deadline comes with the command's id and where to ask", async () => {
    const error = new FleetError("DEADLINE_EXCEEDED", "no result in time", {
      metadata: { command_id: "c-7" },
    });
    const { stderr } = await fairlead(acting({ web: error }).answers, ["stop", "web"]);
    assert.equal(
      stderr,
      "fairlead: no result in time (DEADLINE_EXCEEDED, command c-7)\n" +
        "  Nothing is undone: `fairlead commands get c-7` tells what became of it.\n",
    );
  });

  it("says where nobody answers, and what to do", async () => {
    const { code, stderr } = await fairleadAlone(["ps", "--server", "127.0.0.1:1"]);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      "fairlead: the control plane at https://127.0.0.1:1 cannot be reached (ECONNREFUSED) (SERVER_UNREACHABLE)\n" +
        "  Start one with `fairlead up`, or say where yours is with --server or FAIRLEAD_SERVER: https://… with TLS, http://… without.\n",
    );
  });

  it("O09 inspect prints the engines' JSON in one array, and what was not found after it", async () => {
    const answers: Answers = {
      containers: {
        inspectContainer({ container }) {
          if (container === "no") {
            throw new FleetError("CONTAINER_NOT_FOUND", "no such container");
          }
          return {
            container: containerOf({ name: container }),
            engineJson: `{"Name":"/${container}","Size":9007199254740993}`,
          };
        },
      },
    };
    const { code, stdout, stderr } = await fairlead(answers, ["inspect", "web", "no"]);
    assert.equal(stdout, '[\n    {\n        "Name": "/web",\n        "Size": 9007199254740993\n    }\n]\n');
    assert.match(stderr, /^fairlead: no: no such container \(CONTAINER_NOT_FOUND\)/);
    assert.equal(code, 1);
    const both = JSON.parse((await fairlead(answers, ["inspect", "--json", "web"])).stdout) as [
      { container: { name: string }; engine: { Name: string } },
    ];
    assert.deepEqual([both[0].container.name, both[0].engine.Name], ["web", "/web"]);
  });
});

describe("creating a container from the command line", () => {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-cli-"));
  const file = join(folder, "variables");
  writeFileSync(file, "FROM_FILE=1\nOVER=file\n");
  let asked: CreateContainerRequest | undefined;
  const answers: Answers = {
    containers: {
      createContainer(request) {
        asked = request;
        return { container: containerOf({ id: "f00d" }), commandId: "c-1" };
      },
    },
  };

  beforeEach(() => {
    asked = undefined;
  });
  afterEach(closeApis);
  after(() => rmSync(folder, { recursive: true }));

  async function create(...args: string[]) {
    const outcome = await fairlead(answers, ["create", ...args], { env: { HERE: "here" } });
    assert.deepEqual(outcome, { code: 0, stdout: "f00d\n", stderr: "" });
    assert.ok(asked?.spec);
    return { request: asked, spec: asked.spec };
  }

  it("O08 reads docker's flags into the specification", async () => {
    const flags = `--host web-1 --name shop --start --request-id k
      -e A=1 -e HERE -e MISSING -e OVER=flag --env-file ${file}
      -p 8080:80 -p 53/udp -v db:/data:ro --tmpfs /run --network front --hostname inside
      --restart on-failure:3 -m 256m --cpus 1.5 --pids-limit 64 -c 512 --read-only
      -l team=shop -l bare -u 1000:1000 -w /srv -it --init --entrypoint sh
      --stop-signal INT --stop-timeout 30 --health-cmd true --health-interval 5s --health-retries 2`;
    const { request, spec } = await create(...flags.split(/\s+/), "nginx:1.27");
    assert.deepEqual(
      [request.host, request.name, request.start, request.requestId],
      ["web-1", "shop", true, "k"],
    );
    assert.deepEqual(spec.environment, { FROM_FILE: "1", OVER: "flag", A: "1", HERE: "here" });
    assert.deepEqual(
      spec.ports.map(({ containerPort, hostPort, protocol }) => [containerPort, hostPort, protocol]),
      [
        [80, 8080, 1],
        [53, 0, 2],
      ],
    );
    assert.deepEqual(
      spec.mounts.map(({ type, source, target, readOnly }) => [type, source, target, readOnly]),
      [
        [2, "db", "/data", true],
        [3, "", "/run", false],
      ],
    );
    assert.deepEqual([spec.restartPolicy?.mode, spec.restartPolicy?.maxRetries], [4, 3]);
    const { memoryBytes, milliCpus, pids, cpuShares } = spec.limits!;
    assert.deepEqual([memoryBytes, milliCpus, pids, cpuShares], [256n << 20n, 1_500, 64, 512]);
    assert.deepEqual(spec.labels, { team: "shop", bare: "" });
    assert.deepEqual(
      [
        spec.image,
        spec.command,
        spec.entrypoint,
        spec.networks,
        spec.hostname,
        spec.user,
        spec.workingDirectory,
      ],
      ["nginx:1.27", [], ["sh"], ["front"], "inside", "1000:1000", "/srv"],
    );
    assert.deepEqual(
      [spec.tty, spec.stdinOpen, spec.init, spec.readOnly, spec.privileged, spec.autoRemove],
      [true, true, true, true, false, false],
    );
    assert.deepEqual([spec.stopSignal, spec.stopGracePeriod?.seconds], ["INT", 30n]);
    const health = spec.healthCheck!;
    assert.deepEqual(
      [health.command, health.interval?.seconds, health.retries],
      [["/bin/sh", "-c", "true"], 5n, 2],
    );
  });

  it("leaves what comes after the image to the container, flags and all", async () => {
    const { spec } = await create("--rm", "busybox", "sh", "-c", "echo --json", "--start", "--json");
    assert.deepEqual(spec.command, ["sh", "-c", "echo --json", "--start", "--json"]);
    assert.equal(spec.autoRemove, true);
  });

  it("leaves out what was not said, and can switch health checks off", async () => {
    const { spec, request } = await create("busybox");
    assert.deepEqual(
      [spec.healthCheck, spec.restartPolicy, spec.stopGracePeriod],
      [undefined, undefined, undefined],
    );
    assert.equal(request.timeout, undefined);
    assert.equal((await create("--no-healthcheck", "busybox")).spec.healthCheck?.disabled, true);
  });

  for (const args of [
    ["--rm", "--restart", "always", "busybox"],
    ["--no-healthcheck", "--health-cmd", "true", "busybox"],
    ["--env-file", join(folder, "missing"), "busybox"],
    ["-m", "lots", "busybox"],
  ]) {
    it(`refuses create ${args.slice(0, -1).join(" ").replace(folder, "")} before anything is asked`, async () => {
      const { code, stdout, stderr } = await fairlead(answers, ["create", ...args]);
      assert.deepEqual([code, stdout, asked], [2, "", undefined]);
      assert.match(stderr, /^fairlead: .+\n {2}See `fairlead create --help`\.\n$/s);
    });
  }
});
