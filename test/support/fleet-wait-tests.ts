import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { runProgram } from "../cli/process.ts";
import { rejection } from "./dispatching.ts";
import { noGrace } from "./fleet.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

// Many more than an agent does at once.
const waiters = 40;

/** Waiting for containers, through the API and the command line. */
export function waitTests(kit: FleetKit): void {
  it("O15 C32 many wait for one container, keep nothing from being done to it, and are all told its exit code", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make();
    const waiting = Array.from({ length: waiters }, () => containers.waitContainer({ container: id }));
    // Were one of them late, it would be told the same.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal((await containers.pauseContainer({ container: id })).changed, true);
    assert.equal((await containers.unpauseContainer({ container: id })).changed, true);
    await containers.stopContainer({ container: id, gracePeriod: noGrace });
    for (const { exit, container } of await Promise.all(waiting)) {
      assert.deepEqual([exit?.exitCode, container?.id], [137, id]);
    }
  });

  it("O15 C04 a wait ends with its time", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make();
    const timeout = durationFromMs(300);
    await rejection(containers.waitContainer({ container: id, timeout }), "DEADLINE_EXCEEDED");
  });

  it("O15 a person waits for several containers, and reads their exit codes in the order of the line", async () => {
    const slow = await kit.make({ command: ["sh", "-c", "sleep 1; exit 4"] });
    const quick = await kit.make({ command: ["sh", "-c", "exit 5"] });
    const env = { FAIRLEAD_KEY_FILE: kit.fleet.plane.controlPlane.keyFile ?? "" };
    const { code, stdout, stderr } = await runProgram(["wait", slow.name, `${main}/${quick.name}`], env);
    assert.deepEqual([code, stdout], [0, "4\n5\n"], stderr);
  });
}
