import assert from "node:assert/strict";
import { testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";

describe("what an agent answers that is no success", () => {
  for (const [what, operation] of [
    ["read", inspectWeb],
    ["change", stopWeb],
  ] as const) {
    it(`C02 the failure of a ${what} arrives with its reason, message and metadata`, async () => {
      await using fleet = await testControlPlane();
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation);
      const command = await agent.command();
      agent.fail(command, "CONTAINER_NOT_FOUND", "No such container: web", { container: "web" });
      const error = await rejection(call, "CONTAINER_NOT_FOUND");
      assert.equal(error.message, "No such container: web");
      assert.deepEqual(error.metadata, { container: "web", command_id: command.commandId });
    });

    it(`C02 a failure of a ${what} without text is still a failure, and a reason of a newer agent keeps its word`, async () => {
      await using fleet = await testControlPlane();
      const agent = await fleet.enrolled();
      const silent = dispatchTo(fleet, agent, operation);
      agent.fail(await agent.command(), "", "");
      assert.match((await rejection(silent, "OPERATION_FAILED")).message, /said nothing more/);
      const newer = dispatchTo(fleet, agent, operation);
      agent.fail(await agent.command(), "MOON_IN_THE_WAY", "");
      assert.equal((await rejection(newer, "OPERATION_FAILED")).metadata["reason"], "MOON_IN_THE_WAY");
    });

    it(`C02 a result of a ${what} that says neither success nor failure is no success`, async () => {
      await using fleet = await testControlPlane();
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation);
      const { commandId, attempt } = await agent.command();
      agent.result({ commandId, attempt });
      await rejection(call, "INVALID_RESULT");
    });
  }
});
