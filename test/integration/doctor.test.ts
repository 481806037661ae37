import assert from "node:assert/strict";
import { join } from "node:path";
import { killPrograms, runProgram } from "../cli/process.ts";
import { FleetProcesses } from "../support/fleet-processes.ts";

describe("integration: the doctor on both sides", function () {
  this.timeout(60_000);
  afterEach(killPrograms);

  it("doctor: a host that is well is so from both sides; one whose agent is gone is told what to do", async () => {
    await using fleet = new FleetProcesses();
    await fleet.serve();
    const agent = await fleet.enrol("edge");
    const here = [
      "--engine",
      "simulated",
      "--server",
      fleet.agentsAddress,
      "--data",
      join(fleet.folder, "edge"),
    ];
    const examined = await runProgram(["agent", "--doctor", ...here]);
    assert.equal(examined.code, 0, examined.stderr);
    assert.doesNotMatch(examined.stdout, /^bad/m);
    const diagnosed = await fleet.run("hosts", "diagnose", "edge");
    assert.equal(diagnosed.code, 0, diagnosed.stderr);
    assert.match(diagnosed.stdout, /^good {2}session {3}online, epoch 1$/m);

    agent.child.kill("SIGKILL");
    await agent.ended();
    await fleet.untilHost("edge", ({ online }) => !online);
    const gone = await fleet.run("hosts", "diagnose", "edge");
    assert.match(gone.stdout, /^bad {3}session {3}offline/m);
    assert.match(gone.stdout, /What to do: on the host, see that its agent runs/);
  });

  it("doctor: what is wrong is the exit code and one sentence of advice", async () => {
    await using fleet = new FleetProcesses();
    const args = ["--engine", "simulated", "--server", "127.0.0.1:1", "--data", join(fleet.folder, "nobody")];
    const { code, stdout, stderr } = await runProgram(["agent", "--doctor", ...args]);
    assert.equal(code, 1);
    assert.match(stdout, /^bad {6}tcp/m);
    assert.match(stderr, /check that the control plane runs and listens there/);
  });
});
