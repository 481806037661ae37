import { FleetError } from "../../../domain/errors.ts";
import type { CopyIn } from "../../../gen/fairlead/agent/v1/stream_operations_pb.js";
import type { DataStream } from "../../streams/data-stream.ts";
import type { OperationContext, Outcome } from "../operations/operation-context.ts";

const kindBits = 0o170_000;
const regularFile = 0o100_000;

/**
 * Unpacks in a container what comes over a data stream, which goes on after this has resolved. An archive whose end is not said is broken off at the
 * engine too, which takes no part of one for the whole.
 */
export async function copyIn(request: CopyIn, context: OperationContext): Promise<Outcome> {
  const { engine, protection, streams } = context.rooms;
  const { path, copyOwners, allowOverwriteKind } = request;
  const container = await context.find(request.container);
  protection.refuse("copyIn", container);
  await streams.begin(
    request.ticket,
    async (stream) => {
      // Asked before anything comes, which nobody would read to its end.
      const { mode = 0 } = await engine.statPath(container.id, path, context.signal);
      if ((mode & kindBits) === regularFile) {
        throw new FleetError("INVALID_ARGUMENT", `${JSON.stringify(path)} is no folder`);
      }
      const options = { copyOwners, allowOverwriteKind };
      return async () => {
        await context.change(() =>
          engine.putArchive(container.id, path, archiveFrom(stream), options, stream.signal),
        );
        return {};
      };
    },
    context.signal,
  );
  return {};
}

async function* archiveFrom(stream: DataStream): AsyncGenerator<Uint8Array, void> {
  for await (const message of stream.input()) {
    if (message.case === "archive") yield message.value;
    if (message.case !== "archiveEnd") continue;
    // A caller that goes away now is still to be noticed.
    void stream.watch();
    return;
  }
  throw new FleetError("CANCELLED", "the archive broke off before its end");
}
