import assert from "node:assert/strict";
import { killPrograms, runProgram } from "../cli/process.ts";
import { rejection } from "./dispatching.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

/** What hosts take on their disks. */
export function diskTests(kit: FleetKit): void {
  after(killPrograms);

  it("O18 a host tells what its engine takes on the disk, through the API and the command line", async () => {
    const { hosts } = kit.fleet.api;
    const { id } = await kit.make();
    await kit.make({ start: false });
    const { usage } = await hosts.getDiskUsage({ host: main });
    const { containers, images } = usage ?? {};
    assert.ok(containers !== undefined && images !== undefined);
    assert.ok(containers.totalCount >= 2 && containers.activeCount >= 1);
    assert.ok(containers.activeCount < containers.totalCount, "one does not run");
    assert.ok(images.totalCount >= 1 && images.activeCount >= 1 && images.sizeBytes > 0n);
    assert.ok(images.reclaimableBytes <= images.sizeBytes);
    assert.ok(Math.abs(Number(usage?.measuredTime?.seconds) - Date.now() / 1000) < 60);
    await rejection(hosts.getDiskUsage({ host: "nobody" }), "HOST_NOT_FOUND");

    const env = { FAIRLEAD_KEY_FILE: kit.fleet.plane.controlPlane.keyFile ?? "" };
    const { code, stdout, stderr } = await runProgram(["hosts", "df", main], env);
    assert.equal(code, 0, stderr);
    const [head, ...rows] = stdout.trimEnd().split("\n");
    assert.match(head ?? "", /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$/);
    assert.deepEqual(
      rows.map((row) => row.split(/ {2,}/)[0]),
      ["Images", "Containers", "Local Volumes", "Build Cache"],
    );
    assert.match(rows[0] ?? "", /^Images +\d+ +\d+ +[\d.]+ ?[kMGT]?B +[\d.]+ ?[kMGT]?B \(\d+%\)$/);
    await kit.fleet.api.containers.removeContainer({ container: id, force: true });
  });

  it("O18 a host that is offline says so at once", async () => {
    await kit.fleet.stopAgent(main);
    try {
      await rejection(kit.fleet.api.hosts.getDiskUsage({ host: main }), "AGENT_OFFLINE");
    } finally {
      await kit.fleet.restartAgent(main);
    }
  });
}
