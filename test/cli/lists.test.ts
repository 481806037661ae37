import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ContainerState, HealthState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import type { ListContainersRequest } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { RegistrationTokenState } from "../../src/gen/fairlead/registration/v1/registration_token_pb.js";
import { type Answers, closeApis, fairlead, nowMs } from "./command-line.ts";
import { containerOf, minutesAgo } from "./containers.ts";

const asOfTime = timestampFromMs(nowMs);
const few = [
  containerOf({
    ports: [{ containerPort: 80, hostPort: 8080, hostIp: "0.0.0.0", protocol: "tcp" }],
    health: HealthState.HEALTHY,
  }),
  containerOf({
    id: "b0b1",
    name: "数据库",
    image: "db:17",
    command: "db",
    state: ContainerState.EXITED,
    exitCode: 137,
    finishedTime: minutesAgo(70),
    host: { id: "h-2", name: "web-2", online: false },
    observedTime: minutesAgo(3),
  }),
  containerOf({
    id: "c0",
    name: "odd\u001b[31m",
    image: "a\nb",
    command: "\u0007sh",
    state: ContainerState.PAUSED,
  }),
];

/** Answers lists of containers in pages of one, and keeps what was asked. */
function listing(containers = few) {
  const asked: ListContainersRequest[] = [];
  const answers: Answers = {
    containers: {
      listContainers(request) {
        asked.push(request);
        const index = Number(request.pageToken || "0");
        const nextPageToken = index + 1 < containers.length ? `${index + 1}` : "";
        return { containers: containers.slice(index, index + 1), nextPageToken, asOfTime };
      },
    },
  };
  return { asked, answers };
}

describe("lists on the command line", () => {
  afterEach(closeApis);

  it("O22 ps shows the fleet in docker's look, all pages, and as of when a host that is offline was seen", async () => {
    const { stdout, stderr, code } = await fairlead(listing().answers, ["ps", "-a"]);
    assert.equal(
      stdout,
      `HOST              CONTAINER ID   IMAGE        COMMAND                  CREATED             STATUS                                               PORTS                  NAMES
web-1             4c01db0b339c   nginx:1.27   "/docker-entrypoint.…"   About an hour ago   Up 5 minutes (healthy)                               0.0.0.0:8080->80/tcp   web
web-2 (offline)   b0b1           db:17        "db"                     About an hour ago   Exited (137) About an hour ago, seen 3 minutes ago                          数据库
web-1             c0             a\\nb         "\\x07sh"                 About an hour ago   Up 5 minutes (Paused)                                                       odd\\x1b[31m
`,
    );
    assert.deepEqual([stderr, code], ["", 0]);
  });

  it("O01 ps asks for what runs, as docker does, unless it is told otherwise", async () => {
    const { asked, answers } = listing();
    await fairlead(answers, ["ps"]);
    assert.deepEqual(asked.at(-1)?.states, [
      ContainerState.RUNNING,
      ContainerState.PAUSED,
      ContainerState.RESTARTING,
    ]);
    const filters = ["state=exited", "label=a=b", "name=shop", "image=nginx", "host=web-2"];
    await fairlead(answers, ["ps", "--host", "web-1", ...filters.flatMap((filter) => ["-f", filter])]);
    const { states, labels, nameContains, image, hosts } = asked.at(-1)!;
    assert.deepEqual(
      [states, labels, nameContains, image, hosts],
      [[ContainerState.EXITED], ["a=b"], "shop", "nginx", ["web-2", "web-1"]],
    );
  });

  it("ps -q prints ids for other commands, --no-trunc whole ones, -n the newest", async () => {
    const { answers } = listing([
      containerOf(),
      containerOf({ id: "d".repeat(64), createdTime: minutesAgo(1) }),
    ]);
    assert.equal((await fairlead(answers, ["ps", "-q"])).stdout, `4c01db0b339c\n${"d".repeat(12)}\n`);
    assert.equal((await fairlead(answers, ["ps", "-qn", "1", "--no-trunc"])).stdout, `${"d".repeat(64)}\n`);
  });

  it("V03 ps --json is one document that a terminal can take, and means what the agent said", async () => {
    const { stdout } = await fairlead(listing().answers, ["ps", "-a", "--json"]);
    const containers = JSON.parse(stdout) as { name: string; state: string; host: { online: boolean } }[];
    assert.deepEqual(
      containers.map(({ name, state, host }) => [name, state, host.online]),
      [
        ["web", "CONTAINER_STATE_RUNNING", true],
        ["数据库", "CONTAINER_STATE_EXITED", false],
        ["odd\u001b[31m", "CONTAINER_STATE_PAUSED", true],
      ],
    );
    assert.doesNotMatch(stdout.replaceAll("\n", ""), /\p{Cc}/u);
  });

  it("colours only on a terminal, and never with NO_COLOR", async () => {
    const { answers } = listing();
    const colours = async (surroundings: object) =>
      (await fairlead(answers, ["ps"], surroundings)).stdout.includes("\u001b[");
    assert.equal(await colours({ isTTY: true }), true);
    assert.equal(await colours({ isTTY: false }), false);
    assert.equal(await colours({ isTTY: true, env: { NO_COLOR: "1" } }), false);
    assert.equal(await colours({ isTTY: true, env: { TERM: "dumb" } }), false);
  });

  it("hosts shows who is there and since when others are not", async () => {
    const facts = { engineVersion: "27.1.0", operatingSystem: "Debian GNU/Linux 12" };
    const answers: Answers = {
      hosts: {
        listHosts: () => ({
          hosts: [
            {
              name: "web-1",
              online: true,
              engineAvailable: true,
              facts,
              containerCount: 12,
              runningContainerCount: 3,
              agentVersion: "0.1.0",
            },
            { name: "web-2", online: true, engineAvailable: false, facts: { ...facts, simulated: true } },
            { name: "web-3", online: false, lastSeenTime: minutesAgo(80) },
          ],
        }),
      },
    };
    assert.equal(
      (await fairlead(answers, ["hosts"])).stdout,
      `HOST    STATE                 RUNNING   CONTAINERS   ENGINE      OPERATING SYSTEM      AGENT   LAST SEEN
web-1   online                3         12           27.1.0      Debian GNU/Linux 12   0.1.0   Now
web-2   online, engine down   0         0            simulated   Debian GNU/Linux 12           Now
web-3   offline               0         0                                                      About an hour ago
`,
    );
  });

  it("E17 token ls lists tokens without their secrets; create prints the secret alone", async () => {
    const token = {
      id: "t-1",
      state: RegistrationTokenState.ACTIVE,
      maxUses: 20,
      useCount: 3,
      createTime: minutesAgo(5),
      expireTime: minutesAgo(-10),
      createdBy: "local",
      description: "rack 7",
    };
    const asked: unknown[] = [];
    const answers: Answers = {
      tokens: {
        listRegistrationTokens: () => ({ registrationTokens: [token] }),
        createRegistrationToken(request) {
          asked.push([request.description, request.maxUses, request.lifetime?.seconds]);
          return { registrationToken: token, token: "fl1.none.secret" };
        },
      },
    };
    assert.equal(
      (await fairlead(answers, ["token", "ls"])).stdout,
      `TOKEN ID   STATE    USES   CREATED         EXPIRES         CREATED BY   DESCRIPTION
t-1        active   3/20   5 minutes ago   In 10 minutes   local        rack 7
`,
    );
    const flags = ["--description", "rack 7", "--max-uses", "20", "--lifetime", "1h"];
    assert.equal((await fairlead(answers, ["token", "create", ...flags])).stdout, "fl1.none.secret\n");
    assert.deepEqual(asked, [["rack 7", 20, 3_600n]]);
    const { stdout, stderr } = await fairlead(answers, ["token", "create"], { isErrorTTY: true });
    assert.equal(stdout, "fl1.none.secret\n");
    assert.match(stderr, /fairlead agent --server .* --token/);
  });
});
