import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { secretHash } from "../../../src/control-plane/enrolment/registration-token.ts";
import type { FleetError } from "../../../src/domain/errors.ts";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { testControlPlane } from "../../support/control-plane-harness.ts";
import { rejection } from "../../support/dispatching.ts";
import { recordedEvents } from "../../support/recorded-events.ts";

async function filesOf(dataDir: string): Promise<Map<string, Buffer>> {
  const files = (await readdir(dataDir, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    await Promise.all(
      files.map(async ({ parentPath, name }) => [name, await readFile(join(parentPath, name))] as const),
    ),
  );
}

function everythingOf(error: FleetError): string {
  const own = Object.fromEntries(
    Object.getOwnPropertyNames(error).map((key) => [key, Reflect.get(error, key)]),
  );
  return `${JSON.stringify(own)} ${error.stack} ${String(error.cause)}`;
}

describe("the secret of a registration token", () => {
  it("E05 is in no file, log line, event or error, whatever becomes of the token", async () => {
    await using plane = await testControlPlane();
    const tokens = plane.client(RegistrationTokenService);
    const used = await tokens.createRegistrationToken({ description: "to be used" });
    const revoked = await tokens.createRegistrationToken({ description: "to be revoked" });
    await tokens.revokeRegistrationToken({ id: revoked.registrationToken?.id ?? "" });
    const unknown = `fl1.none.${"S".repeat(43)}`;
    const malformed = `fl1.none.${"M".repeat(50)}`;

    const agent = plane.stream();
    await agent.register(used.token);
    const errors: FleetError[] = [];
    for (const token of [used.token, revoked.token, unknown, malformed]) {
      errors.push(await rejection(plane.stream().register(token), "UNAUTHENTICATED"));
    }
    // Breaks a bound, so that the answer names the field.
    const tooLong = `fl1.none.${"L".repeat(300)}`;
    errors.push(await rejection(plane.stream().register(tooLong), "INVALID_ARGUMENT"));
    assert.deepEqual(
      errors.at(-1)?.violations.map(({ field }) => field),
      ["registration.token"],
    );

    const secrets = [used.token, revoked.token, unknown, malformed, tooLong].map(
      (token) => token.split(".")[2] ?? "",
    );
    const files = await filesOf(plane.dataDir);
    const events = JSON.stringify(await recordedEvents(plane));
    const log = plane.logLines.join("\n");
    // Otherwise nothing could be found in any case.
    const { id = "" } = used.registrationToken ?? {};
    assert.ok(
      [...files.keys()].some((name) => name.endsWith("-wal")),
      [...files.keys()].join(),
    );
    assert.ok([...files.values()].some((bytes) => bytes.includes(id)));
    assert.ok([...files.values()].some((bytes) => bytes.includes(Buffer.from(secretHash(secrets[0] ?? "")))));
    assert.ok(events.includes(id));
    assert.ok(log.includes(agent.identity.agentId));

    for (const secret of secrets) {
      assert.ok(secret.length >= 43);
      for (const [name, bytes] of files) assert.ok(!bytes.includes(secret), `found in ${name}`);
      assert.ok(!events.includes(secret), "found in an event");
      assert.ok(!log.includes(secret), "found in the log");
      for (const error of errors) assert.ok(!everythingOf(error).includes(secret), "found in an error");
      const decoded = Buffer.from(secret, "base64url");
      for (const [name, bytes] of files) assert.ok(!bytes.includes(decoded), `found decoded in ${name}`);
    }
  });
});
