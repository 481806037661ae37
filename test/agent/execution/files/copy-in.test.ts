import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { copyIn } from "../../../../src/agent/execution/files/copy-in.ts";
import type { OperationContext } from "../../../../src/agent/execution/operations/operation-context.ts";
import { SelfProtection } from "../../../../src/agent/execution/self-protection.ts";
import type { StreamInput } from "../../../../src/agent/streams/data-stream.ts";
import type { StreamWork } from "../../../../src/agent/streams/data-streams.ts";
import { FleetError } from "../../../../src/domain/errors.ts";
import { CopyInSchema } from "../../../../src/gen/fairlead/agent/v1/stream_operations_pb.js";
import { neverAborted } from "../../../../src/resilience/signals.ts";

const piece = (text: string) => ({ case: "archive", value: Buffer.from(text) }) as StreamInput;
const end = { case: "archiveEnd", value: {} } as StreamInput;

/** Copies what the control plane sends into an engine that keeps it, and tells what that got, and whether it was told that it is whole. */
async function copied(messages: readonly StreamInput[], mode = 0o040_755) {
  const got: string[] = [];
  const engine = {
    statPath: async () => ({ mode }),
    async putArchive(_id: string, _path: string, chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) got.push(Buffer.from(chunk).toString());
      got.push("whole");
    },
  };
  const stream = {
    signal: neverAborted,
    watch: async () => undefined,
    async *input() {
      yield* messages;
    },
  };
  let work: StreamWork | undefined;
  const streams = {
    async begin(_ticket: Uint8Array, beginning: (one: typeof stream) => Promise<StreamWork>) {
      work = await beginning(stream);
    },
  };
  const context = {
    rooms: { engine, streams, protection: new SelfProtection(undefined) },
    signal: neverAborted,
    find: async () => ({ id: "id", name: "name" }),
    change: <Value>(ask: () => Promise<Value>) => ask(),
  };
  await copyIn(
    create(CopyInSchema, { container: "name", path: "/etc" }),
    context as unknown as OperationContext,
  );
  const failure = await work?.(stream as unknown as Parameters<StreamWork>[0]).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { got, failure };
}

describe("copies into a container, at the agent", () => {
  it("O15 an archive is whole when its end was said", async () => {
    assert.deepEqual(await copied([piece("a"), piece("b"), end]), {
      got: ["a", "b", "whole"],
      failure: undefined,
    });
  });

  it("O15 an archive whose end was not said is not taken for whole, however well its stream ended", async () => {
    const { got, failure } = await copied([piece("a")]);
    assert.deepEqual(got, ["a"]);
    assert.ok(failure instanceof FleetError && failure.reason === "CANCELLED");
  });

  it("O15 what is no folder is refused before anything is taken", async () => {
    await assert.rejects(copied([piece("a"), end], 0o100_644), FleetError);
  });
});
