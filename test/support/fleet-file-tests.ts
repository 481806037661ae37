import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createFairlead, type Fairlead } from "../../src/client/create-fairlead.ts";
import { FleetError } from "../../src/domain/errors.ts";
import type {
  CopyToRequestSchema,
  CopyToStartSchema,
} from "../../src/gen/fairlead/container/v1/file_service_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { keyFileOf } from "./api-place.ts";
import { archive, contentsOf, inPieces, member } from "./archives.ts";
import { eventually } from "./control-plane-harness.ts";
import { patienceMs } from "./fleet.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

type Start = MessageInitShape<typeof CopyToStartSchema>;

/** Files, through the API. */
export function fileTests(kit: FleetKit): void {
  const put = (start: Start, chunks: AsyncIterable<Uint8Array>, client: Fairlead = kit.fleet.api) =>
    client.files.copyTo(upload(start, chunks));

  const get = async (container: string, path: string, client: Fairlead = kit.fleet.api) => {
    const pieces: Uint8Array[] = [];
    let name = "";
    for await (const { message } of client.files.copyFrom({ container, path })) {
      if (message.case === "facts") name = message.value.name;
      if (message.case === "archive") pieces.push(message.value);
    }
    return { name, bytes: Buffer.concat(pieces) };
  };

  const copies = async (container: string): Promise<Record<string, string>[]> =>
    (await kit.fleet.events({ types: [EventType.FILES_COPIED], container })).map(({ attributes, actor }) => ({
      ...attributes,
      actor,
    }));

  const noneLeft = () =>
    eventually(() => kit.fleet.plane.controlPlane.dataStreams.size === 0, "no stream is left", patienceMs);

  for (const protocol of ["connect", "grpc"] as const) {
    it(`O15 what is copied into a container comes out of it again, and both are events, over ${protocol}`, async () => {
      const { id, name } = await kit.make({ start: false });
      using client = createFairlead({ ...keyFileOf(kit.fleet.plane.controlPlane.keyFile ?? ""), protocol });
      const big = Buffer.alloc(1_000_000, "0123456789");
      const bytes = archive(member("box/", "", { kind: "folder", mode: 0o755 }), member("box/big", big));
      const { archiveBytes } = await put({ container: name, path: "/etc" }, inPieces(bytes), client);
      assert.equal(Number(archiveBytes), bytes.length);
      const { name: told, bytes: read } = await get(name, "/etc/box", client);
      assert.equal(told, "box");
      assert.ok(contentsOf(read)["box/big"] === big.toString());
      const { facts } = await client.files.statPath({ container: id, path: "/etc/box/big" });
      assert.deepEqual([facts?.name, facts?.size, facts?.mode], ["big", 1_000_000n, 0o100_644]);
      await eventually(async () => (await copies(id)).length === 2, "both are events", patienceMs);
      const [into, out] = await copies(id);
      assert.deepEqual(
        [into?.["direction"], into?.["path"], into?.["bytes"], into?.["reason"]],
        ["IN", "/etc", `${bytes.length}`, undefined],
      );
      assert.deepEqual([out?.["direction"], out?.["bytes"]], ["OUT", `${read.length}`]);
      assert.notEqual(out?.actor, "");
      await noneLeft();
    });
  }

  it("O15 a path that is not there is told before an archive is taken, however much of it is on its way", async () => {
    const { name } = await kit.make({ start: false });
    await refused(put({ container: name, path: "/nowhere" }, endless()), "PATH_NOT_FOUND");
    await refused(get(name, "/nowhere"), "PATH_NOT_FOUND");
    await refused(kit.fleet.api.files.statPath({ container: name, path: "/nowhere" }), "PATH_NOT_FOUND");
    await refused(get("no-such-container", "/etc"), "CONTAINER_NOT_FOUND");
    await refused(kit.fleet.api.files.copyTo(inOrder()), "INVALID_ARGUMENT");
    await noneLeft();
  });

  it("O15 a caller that breaks off leaves no half archive that passes for whole, and no stream", async () => {
    const { id, name } = await kit.make({ start: false });
    const bytes = archive(member("half", Buffer.alloc(600_000, 1)));
    const leaving = new AbortController();
    const half = async function* () {
      yield* inPieces(bytes.subarray(0, 300_000));
      await eventually(
        () => kit.fleet.plane.controlPlane.dataStreams.size > 0,
        "the copy is under way",
        patienceMs,
      );
      leaving.abort();
      await new Promise(() => undefined);
    };
    const call = kit.fleet.api.files.copyTo(upload({ container: name, path: "/etc" }, half()), {
      signal: leaving.signal,
    });
    await assert.rejects(call, FleetError);
    await noneLeft();
    await eventually(async () => (await copies(id)).length === 1, "it is an event", patienceMs);
    assert.equal((await copies(id))[0]?.["reason"], "CANCELLED");
    const size = await kit.fleet.api.files.statPath({ container: id, path: "/etc/half" }).then(
      ({ facts }) => Number(facts?.size ?? 0n),
      () => 0,
    );
    assert.ok(size < 600_000, `${size} bytes`);
  });

  it("D03 a reader that leaves in the middle of a copy leaves no stream", async () => {
    const { name } = await kit.make({ start: false });
    await put(
      { container: name, path: "/etc" },
      inPieces(archive(member("big", Buffer.alloc(8_000_000, 1)))),
    );
    for await (const { message } of kit.fleet.api.files.copyFrom({ container: name, path: "/etc/big" })) {
      if (message.case === "archive") break;
    }
    await noneLeft();
  });

  it("O10 a protected container is neither read nor written into", async () => {
    const labels = { ...kit.engine.labels, "dev.fairlead.protected": "true" };
    const { name } = await kit.fleet.make(main, kit.engine.uniqueName(), labels, { start: false });
    const bytes = archive(member("file", "text"));
    await refused(put({ container: name, path: "/etc" }, inPieces(bytes)), "PROTECTED_CONTAINER");
    await refused(get(name, "/etc"), "PROTECTED_CONTAINER");
    await noneLeft();
  });
}

async function* endless() {
  for (;;) yield Buffer.alloc(32 * 1024);
}

async function* upload(start: Start, chunks: AsyncIterable<Uint8Array>) {
  yield { message: { case: "start", value: start } } as const;
  for await (const value of chunks) yield { message: { case: "archive", value } } as const;
}

async function* inOrder(): AsyncGenerator<MessageInitShape<typeof CopyToRequestSchema>> {
  yield { message: { case: "archive", value: new Uint8Array(1) } };
}

async function refused(call: Promise<unknown>, reason: string): Promise<void> {
  await assert.rejects(call, (error) => error instanceof FleetError && error.reason === reason, reason);
}
