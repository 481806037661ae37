import assert from "node:assert/strict";
import type { DeleteHostRequest } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import type { CreateRegistrationTokenRequest } from "../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { FleetError } from "../../src/domain/errors.ts";
import { closeApis, fairlead } from "./command-line.ts";
import { minutesAgo } from "./containers.ts";

describe("identities on the command line", () => {
  afterEach(closeApis);

  it("E20 token create --host asks for a token that brings that host back", async () => {
    const asked: CreateRegistrationTokenRequest[] = [];
    const tokens = {
      createRegistrationToken(request: CreateRegistrationTokenRequest) {
        asked.push(request);
        return { registrationToken: { id: "t-1" }, token: "fl1.none.secret" };
      },
    };
    const { code, stdout } = await fairlead({ tokens }, ["token", "create", "--host", "web-1"]);
    assert.deepEqual([code, stdout, asked[0]?.host], [0, "fl1.none.secret\n", "web-1"]);
  });

  it("E15 hosts rotate-key goes on with the others when one fails", async () => {
    const hosts = {
      rotateAgentKey({ host }: { readonly host: string }) {
        if (host === "down") throw new FleetError("AGENT_OFFLINE", "the host's agent is not connected");
        return { keyDigest: "ab".repeat(32) };
      },
    };
    const { code, stdout, stderr } = await fairlead({ hosts }, [
      "hosts",
      "rotate-key",
      "web-1",
      "down",
      "web-2",
    ]);
    assert.notEqual(code, 0);
    assert.equal(stdout, "web-1\nweb-2\n");
    assert.match(stderr, /down/);
  });

  it("E13 hosts rm bans only when it is told to, and hosts bans lists and lifts", async () => {
    const asked: [string, boolean][] = [];
    const lifted: string[] = [];
    const ban = { engineId: "engine-1", hostName: "web\n1", bannedBy: "admin", banTime: minutesAgo(5) };
    const hosts = {
      deleteHost({ host, ban: isBan }: DeleteHostRequest) {
        asked.push([host, isBan]);
        return {};
      },
      listEngineBans: () => ({ engineBans: [ban] }),
      liftEngineBan({ engineId }: { readonly engineId: string }) {
        lifted.push(engineId);
        return { engineBan: ban };
      },
    };
    await fairlead({ hosts }, ["hosts", "rm", "web-1"]);
    await fairlead({ hosts }, ["hosts", "rm", "--ban", "web-2"]);
    assert.deepEqual(asked, [
      ["web-1", false],
      ["web-2", true],
    ]);
    const { stdout } = await fairlead({ hosts }, ["hosts", "bans"]);
    assert.match(stdout, /^ENGINE ID +HOST +BANNED BY +BANNED\nengine-1 +web\\n1 +admin +5 minutes ago\n$/i);
    const lift = await fairlead({ hosts }, ["hosts", "bans", "lift", "engine-1"]);
    assert.deepEqual([lift.code, lift.stdout, lifted], [0, "engine-1\n", ["engine-1"]]);
  });
});
