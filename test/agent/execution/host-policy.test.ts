import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { PolicyGate } from "../../../src/agent/execution/policy/policy-gate.ts";
import { openPolicy } from "../../../src/agent/execution/policy/policy.ts";
import { OperationSchema } from "../../../src/gen/fairlead/agent/v1/operation_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { type OperationCase, operationTraits } from "../../../src/rpc/operation-traits.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeSession } from "../../support/fake-control-plane.ts";

type Operation = Parameters<FakeSession["command"]>[0];

const gracePeriod = { seconds: 0n, nanos: 0 };

/** Every operation of the schema, for one container. A new one belongs here as well. */
const operationsOn = (container: string): Readonly<Record<OperationCase, Operation>> => ({
  inspectContainer: { case: "inspectContainer", value: { container } },
  createContainer: { case: "createContainer", value: { name: "new", spec: sleepingSpec() } },
  startContainer: { case: "startContainer", value: { container } },
  stopContainer: { case: "stopContainer", value: { container, gracePeriod } },
  restartContainer: { case: "restartContainer", value: { container, gracePeriod } },
  killContainer: { case: "killContainer", value: { container } },
  pauseContainer: { case: "pauseContainer", value: { container } },
  unpauseContainer: { case: "unpauseContainer", value: { container } },
  renameContainer: { case: "renameContainer", value: { container, newName: "other" } },
  removeContainer: { case: "removeContainer", value: { container, force: true } },
  openProcess: {
    case: "openProcess",
    value: { ticket: new Uint8Array(32), container, process: { command: ["true"] } },
  },
  runExec: { case: "runExec", value: { container, exec: { command: ["true"] } } },
  updateContainer: { case: "updateContainer", value: { container, update: { pids: 100 } } },
  listProcesses: { case: "listProcesses", value: { container } },
  waitContainer: { case: "waitContainer", value: { container } },
  listChanges: { case: "listChanges", value: { container } },
  openLogs: { case: "openLogs", value: { ticket: new Uint8Array(32), container } },
  statPath: { case: "statPath", value: { container, path: "/" } },
  copyOut: { case: "copyOut", value: { ticket: new Uint8Array(32), container, path: "/" } },
  copyIn: { case: "copyIn", value: { ticket: new Uint8Array(32), container, path: "/" } },
  getDiskUsage: { case: "getDiskUsage", value: {} },
  openStats: { case: "openStats", value: { ticket: new Uint8Array(32), containers: [container] } },
});

const changes = new Set([
  "create",
  "start",
  "stop",
  "restart",
  "kill",
  "pause",
  "unpause",
  "rename",
  "remove",
  "update",
  "exec",
]);

const named = (isRefused: (operation: OperationCase) => boolean, rule: (name: string) => string) =>
  Object.fromEntries(
    OperationSchema.fields.map(({ localName, name }) => [
      name,
      isRefused(localName as OperationCase) ? rule(name) : undefined,
    ]),
  );

const mayChange = (operation: OperationCase): boolean => {
  const { mutates, acts } = operationTraits(operation);
  return mutates || acts;
};

const createWith = (name: string, labels: Record<string, string>): Operation => ({
  case: "createContainer",
  value: { name, spec: sleepingSpec(labels) },
});

describe("the policy of a host", () => {
  let calls: string[];
  let engine: SimulatedEngine;
  let harness: AgentHarness;
  let session: FakeSession;
  let dataDir: string;
  let critical: string;
  let plain: string;

  beforeEach(async () => {
    calls = [];
    const observe = ({ method }: { readonly method: string }) => void calls.push(method);
    engine = new SimulatedEngine({ clock: systemClock, engineId: "engine-1", observe });
    harness = new AgentHarness(engine);
    const running = async (name: string, labels = {}) => {
      const id = await engine.createContainer(name, sleepingSpec(labels), neverAborted);
      await engine.startContainer(id, neverAborted);
      return id;
    };
    critical = await running("critical", { "com.example.critical": "" });
    plain = await running("plain", { team: "shop" });
    dataDir = await harness.folder();
  });
  afterEach(() => harness.close());

  async function begin(policy: string): Promise<void> {
    await writeFile(join(dataDir, "policy.yaml"), policy);
    const plane = await harness.controlPlane();
    await harness.agent({ server: plane.address, dataDir });
    session = await plane.session();
    await session.until("the inventory", () => session.inventory().get(plain));
    calls.length = 0;
  }

  /** The rule that refuses an operation. Undefined: it is done, or refused for another reason. */
  async function ruleOf(operation: Operation): Promise<string | undefined> {
    // What is allowed may wait for long.
    const delivery = operation.case === "waitContainer" ? { timeoutMs: 200 } : {};
    const { end } = await session.result(session.command(operation, delivery));
    if (end.case !== "failure" || end.value.reason !== "DENIED_BY_HOST_POLICY") return undefined;
    const { rule } = end.value.metadata;
    assert.ok(rule !== undefined && end.value.message.includes(`(rule ${rule})`), end.value.message);
    return rule;
  }

  async function rulesOf(container: string): Promise<Record<string, string | undefined>> {
    const rules: Record<string, string | undefined> = {};
    for (const operation of Object.values(operationsOn(container))) {
      rules[operationTraits(operation.case as OperationCase).name] = await ruleOf(operation);
    }
    return rules;
  }

  it("policy: read only refuses whatever changes something, and nothing of it reaches the engine", async () => {
    await begin("read_only: true\noperations: { stop_container: allow }\n");
    const expected = named(mayChange, () => "read_only");
    assert.deepEqual(await rulesOf(plain), expected);
    assert.deepEqual(
      calls.filter((call) => changes.has(call.replace("Container", ""))),
      [],
    );
  });

  it("policy: each operation of the schema can be refused by its name, also before it is looked at", async () => {
    const names = OperationSchema.fields.map(({ name }) => name);
    await begin(`operations:\n${names.map((name) => `  ${name}: deny\n`).join("")}`);
    assert.deepEqual(
      await rulesOf(plain),
      named(
        () => true,
        (name) => `operations.${name}`,
      ),
    );
    assert.deepEqual(calls, []);
  });

  it("policy: the default is for what has no rule of its own", async () => {
    await begin("default: deny\noperations: { inspect_container: allow }\n");
    const expected = named(
      (operation) => operation !== "inspectContainer",
      () => "default",
    );
    assert.deepEqual(await rulesOf(plain), expected);
  });

  it("policy: a labelled container is not touched, however it is named, and is not looked into", async () => {
    await begin("containers: { except_labels: [com.example.critical] }\n");
    for (const container of [critical, critical.slice(0, 20), "critical"]) {
      for (const operation of Object.values(operationsOn(container))) {
        if (operation.case === "createContainer" || operation.case === "getDiskUsage") continue;
        assert.equal(await ruleOf(operation), "containers.except_labels", `${operation.case} ${container}`);
      }
    }
    assert.deepEqual(
      calls.filter((call) => changes.has(call.replace("Container", ""))),
      [],
    );
    assert.equal(await ruleOf({ case: "killContainer", value: { container: plain } }), undefined);
  });

  it("policy: a full id costs no look at the engine more than it does without a policy", async () => {
    await begin("containers: { except_labels: [com.example.critical] }\n");
    assert.equal(
      await ruleOf({ case: "stopContainer", value: { container: critical, gracePeriod } }),
      "containers.except_labels",
    );
    assert.deepEqual(calls, []);
  });

  it("policy: only labelled containers are touched and made", async () => {
    await begin("containers: { only_labels: [team=shop, team=web] }\n");
    assert.equal(
      await ruleOf({ case: "killContainer", value: { container: "critical" } }),
      "containers.only_labels",
    );
    assert.equal(await ruleOf({ case: "pauseContainer", value: { container: "plain" } }), undefined);
    assert.equal(await ruleOf(createWith("one", { team: "other" })), "containers.only_labels");
    assert.equal(await ruleOf(createWith("two", { team: "web" })), undefined);
  });

  it("policy: what a new container is made of is refused before the engine hears of it", async () => {
    await begin("create: { privileged: deny }\noperations: { start_container: deny }\n");
    const spec = { ...sleepingSpec(), privileged: true };
    assert.equal(await ruleOf({ case: "createContainer", value: { spec } }), "create.privileged");
    const started: Operation = { case: "createContainer", value: { spec: sleepingSpec(), start: true } };
    assert.equal(await ruleOf(started), "operations.start_container");
    assert.deepEqual(calls, []);
    assert.equal(await ruleOf({ case: "createContainer", value: { spec: sleepingSpec() } }), undefined);
  });

  it("policy: a process with all the host's powers is refused like a container with them", async () => {
    await begin("create: { privileged: deny }\n");
    const ticket = new Uint8Array(32);
    const process = { command: ["sh"], privileged: true };
    for (const refused of [
      { case: "openProcess", value: { ticket, container: "plain", process } },
      { case: "runExec", value: { container: "plain", exec: process } },
    ] satisfies Operation[]) {
      assert.equal(await ruleOf(refused), "create.privileged", refused.case);
    }
    assert.deepEqual(calls, []);
  });

  it("policy: a process gets no powers that a new container may not have", async () => {
    await begin("create: { privileged: deny }\n");
    const process = { command: ["true"], privileged: true };
    const ticket = new Uint8Array(32);
    assert.equal(
      await ruleOf({ case: "runExec", value: { container: plain, exec: process } }),
      "create.privileged",
    );
    assert.equal(
      await ruleOf({ case: "openProcess", value: { ticket, container: plain, process } }),
      "create.privileged",
    );
    assert.deepEqual(calls, []);
    const plainProcess = { command: ["true"] };
    assert.equal(
      await ruleOf({ case: "runExec", value: { container: plain, exec: plainProcess } }),
      undefined,
    );
  });

  it("policy: the hello tells it, and a frame tells that it changed or broke", async () => {
    await begin("default: deny\n");
    const { hostPolicy } = session.hello;
    assert.deepEqual(hostPolicy?.summary, ["read_only: false", "default: deny"]);

    const path = join(dataDir, "policy.yaml");
    const write = async (text: string) => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    };
    await write("read_only: true\n");
    const told = () =>
      session.frames.findLast(({ frame }) => frame.hostPolicy !== undefined)?.frame.hostPolicy;
    await session.until("the new policy", () => told()?.readOnly || undefined);
    assert.notEqual(told()?.digest, hostPolicy?.digest);
    assert.equal(await ruleOf({ case: "killContainer", value: { container: plain } }), "read_only");

    await write("read_only: perhaps\n");
    await session.until("the problem", () => told()?.problem || undefined);
    assert.match(told()?.problem ?? "", /line 1: read_only must be true or false/);
    assert.equal(await ruleOf({ case: "killContainer", value: { container: plain } }), "read_only");
    assert.ok(
      harness.lines.some(({ level, msg }) => level === 50 && /the last good one stays/.test(String(msg))),
    );
  });

  it("policy: a broken one keeps the agent from starting, and a host without one says so", async () => {
    const plane = await harness.controlPlane();
    await writeFile(join(dataDir, "policy.yaml"), "create:\n  privilegd: deny\n");
    await assert.rejects(
      harness.agent({ server: plane.address, dataDir }),
      /policy\.yaml, line 2: create\.privilegd/,
    );
    const policyFile = join(dataDir, "elsewhere.yaml");
    await assert.rejects(
      harness.agent({ server: plane.address, dataDir: await harness.folder(), policyFile }),
      /elsewhere\.yaml is not there/,
    );
    await harness.agent({ server: plane.address });
    assert.equal((await plane.session()).hello.hostPolicy, undefined);
  });
});

describe("the gate of a host's policy", () => {
  const policy = { ...openPolicy, exceptLabels: [{ key: "secret", value: undefined }] };
  const { operation } = create(OperationSchema, {
    operation: { case: "stopContainer", value: { container: "x" } },
  });
  const stop = operation as Parameters<PolicyGate["admit"]>[0];

  it("policy: refuses an operation that forgot to ask about its container", async () => {
    const gate = new PolicyGate(policy);
    assert.throws(() => gate.requireVerdict(), { reason: "DENIED_BY_HOST_POLICY" });
    await gate.admit(stop);
    assert.throws(() => gate.requireVerdict(), { reason: "DENIED_BY_HOST_POLICY" });
    gate.judge({ id: "1", name: "one" });
    gate.requireVerdict();
  });

  it("policy: leaves out of many containers those that may not be touched", async () => {
    const gate = new PolicyGate(policy);
    await gate.admit(stop);
    const containers = [
      { id: "1", name: "one", labels: { secret: "" } },
      { id: "2", name: "two" },
    ];
    assert.deepEqual(
      gate.permitted(containers).map(({ id }) => id),
      ["2"],
    );
    gate.requireVerdict();
  });

  it("policy: refuses a container with so many labels that some of them were left out", async () => {
    const labels = Object.fromEntries(Array.from({ length: 512 }, (_, index) => [`l${index}`, ""]));
    const gate = new PolicyGate(policy);
    await gate.admit(stop);
    assert.throws(() => gate.judge({ id: "1", name: "one", labels }), {
      metadata: {
        rule: "containers.except_labels",
        operation: "stop_container",
        container_id: "1",
        container_name: "one",
      },
    });
  });
});
