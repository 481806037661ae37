import type { CopyOut } from "../../../gen/fairlead/agent/v1/stream_operations_pb.js";
import type { EngineArchive } from "../../engine/engine-files.ts";
import type { DataStream, EndOfStream } from "../../streams/data-stream.ts";
import type { OperationContext, Outcome } from "../operations/operation-context.ts";

// As large as the pieces of a log: what waits for a slow reader is counted in messages.
const messageBytes = 16 * 1024;

/** Streams files out of a container over a data stream of its own, which goes on after this has resolved, at the speed of its reader. */
export async function copyOut(request: CopyOut, context: OperationContext): Promise<Outcome> {
  const { engine, protection, streams } = context.rooms;
  const container = await context.find(request.container);
  protection.refuse("copyOut", container);
  await streams.begin(
    request.ticket,
    async (stream) => {
      const archive = await engine.getArchive(container.id, request.path, stream.signal);
      return () => send(archive, stream);
    },
    context.signal,
  );
  return {};
}

async function send({ facts, chunks }: EngineArchive, stream: DataStream): Promise<EndOfStream> {
  void stream.watch();
  await stream.send({ case: "path", value: facts });
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.byteLength; from += messageBytes) {
      await stream.send({ case: "archive", value: chunk.subarray(from, from + messageBytes) });
    }
  }
  return {};
}
