import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { OfflinePolicy } from "../../src/gen/fairlead/command/v1/offline_policy_pb.js";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { ExecResultSchema } from "../../src/gen/fairlead/container/v1/exec_result_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { rejection } from "./dispatching.ts";
import type { FleetKit } from "./fleet-kit.ts";

const shell = (script: string) => ({ command: ["sh", "-c", script] });

/** Processes in containers that are run to their end by one call. */
export function runExecTests(kit: FleetKit): void {
  async function told(container: string, script: string, more: object = {}) {
    const { result } = await kit.fleet.api.containers.runExec({ container, exec: shell(script), ...more });
    const { exitCode, stdout, stderr } = result ?? create(ExecResultSchema);
    return [exitCode, Buffer.from(stdout).toString("latin1"), Buffer.from(stderr).toString("latin1")];
  }

  it("O13 O12 one call runs a process: exit code, both outputs, input and environment, byte for byte", async () => {
    const { id, name } = await kit.make();
    assert.deepEqual(await told(name, "echo out; echo err >&2; exit 7"), [7, "out\n", "err\n"]);
    assert.deepEqual(await told(id, "printf '\\377\\000\\342\\202'"), [0, "\xff\0\xe2\x82", ""]);
    const stdin = Buffer.alloc(40_000, "0123456789abcdef\0\xff\r\n\x04", "latin1");
    assert.deepEqual(await told(id, "cat", { stdin }), [0, stdin.toString("latin1"), ""]);
    const exec = { ...shell("env"), environment: { COLOUR: "blue=green" } };
    const { result } = await kit.fleet.api.containers.runExec({ container: id, exec });
    assert.match(Buffer.from(result?.stdout ?? []).toString(), /^COLOUR=blue=green$/m);
    const missing = { command: ["no-such-program"] };
    const { result: none } = await kit.fleet.api.containers.runExec({ container: id, exec: missing });
    assert.ok(none?.exitCode === 126 || none?.exitCode === 127, `${none?.exitCode}`);
  });

  it("O13 of much output the first megabyte is told, and a process beyond its time is killed", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make();
    const much = shell("head -c 1500000 /dev/zero; echo end >&2");
    const { result } = await containers.runExec({ container: id, exec: much });
    assert.deepEqual([result?.stdout.byteLength, result?.stdoutTruncated], [1024 * 1024, true]);
    assert.deepEqual(
      [Buffer.from(result?.stderr ?? []).toString(), result?.stderrTruncated],
      ["end\n", false],
    );
    const exec = shell("echo begun; sleep 321");
    const late = await containers.runExec({ container: id, exec, timeout: durationFromMs(500) });
    assert.deepEqual([late.result?.exitCode, late.result?.timedOut], [137, true]);
    assert.equal(Buffer.from(late.result?.stdout ?? []).toString(), "begun\n");
    const { table } = await containers.listProcesses({ container: id });
    assert.ok(!JSON.stringify(table?.processes).includes("sleep 321"), "it lives on");
  });

  it("O13 C25 a repeated call is told the same, and nothing runs again", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make();
    const request = { container: id, exec: shell("touch /made; echo once"), requestId: `exec-${id}` };
    const first = await containers.runExec(request);
    assert.deepEqual((await containers.listChanges({ container: id })).changes?.changes.length, 1);
    await told(id, "rm /made");
    const again = await containers.runExec(request);
    assert.deepEqual([again.commandId, again.result], [first.commandId, first.result]);
    assert.equal(Buffer.from(again.result?.stdout ?? []).toString(), "once\n");
    assert.deepEqual((await containers.listChanges({ container: id })).changes?.changes, []);
    const other = { ...request, exec: shell("echo twice") };
    await rejection(containers.runExec(other), "REQUEST_ID_REUSED");
  });

  it("O13 C39 C30 it obeys preconditions, can be queued, and needs a container that runs", async () => {
    const { commands, containers } = kit.fleet.api;
    const { id } = await kit.make();
    const exec = shell("touch /made; echo queued");
    const preconditions = { expectedState: ContainerState.PAUSED };
    await rejection(containers.runExec({ container: id, exec, preconditions }), "PRECONDITION_FAILED");
    const queue = { container: id, exec, offlinePolicy: OfflinePolicy.QUEUE, requestId: `queued-${id}` };
    const { commandId, queued, result } = await containers.runExec(queue);
    assert.deepEqual([queued, result], [true, undefined]);
    await commands.waitCommand({ id: commandId });
    const ended = await containers.runExec(queue);
    assert.deepEqual(
      [ended.commandId, Buffer.from(ended.result?.stdout ?? []).toString()],
      [commandId, "queued\n"],
    );
    await containers.killContainer({ container: id });
    await kit.fleet.untilContainer(id, ({ state }) => state === ContainerState.EXITED);
    await rejection(containers.runExec({ container: id, exec }), "CONFLICT");
  });

  it("L01 V11 who ran which program is an event, without its arguments", async () => {
    const { containers, events } = kit.fleet.api;
    const { id, name } = await kit.make();
    const secret = "correct-horse";
    const { commandId } = await containers.runExec({ container: id, exec: shell(`echo ${secret}; exit 3`) });
    const filter = { commandId, types: [EventType.COMMAND_ENDED] };
    const { events: found } = await events.listEvents({ filter });
    const [ended] = found;
    assert.equal(found.length, 1);
    assert.deepEqual([ended?.containerName, ended?.actor !== ""], [name, true]);
    const { operation, program, arguments: count, exit_code: exitCode } = ended?.attributes ?? {};
    assert.deepEqual([operation, program, count, exitCode], ["run_exec", "sh", "2", "3"]);
    assert.ok(!JSON.stringify(ended?.attributes).includes(secret));
  });
}
