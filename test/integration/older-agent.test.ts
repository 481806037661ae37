import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { Fleet } from "../support/fleet.ts";

describe("integration: an agent that is older than its control plane", () => {
  it("O19 an operation that it does not know is UNIMPLEMENTED for the caller, and costs nobody the session", async () => {
    await using fleet = await Fleet.start();
    const old = await fleet.plane.enrolled();
    const host = old.welcome?.hostName ?? "";
    const api = fleet.plane.client(ContainerService);
    for (const call of [
      api.pauseContainer({ container: "web", host }),
      api.inspectContainer({ container: "web", host }),
    ]) {
      const command = await old.command();
      old.fail(command, "OPERATION_UNSUPPORTED", "this agent does not know this operation");
      const error = ConnectError.from(
        await call.then(
          () => undefined,
          (reason: unknown) => reason,
        ),
      );
      assert.equal(error.code, Code.Unimplemented, error.message);
      assert.match(error.message, /does not know this operation/);
    }
    const stop = api.stopContainer({ container: "web", host });
    old.succeed(await old.command(), true);
    assert.equal((await stop).changed, true);
  });
});
