import { FleetError } from "../../../domain/errors.ts";
import type { OpenProcessValid } from "../../../gen/fairlead/agent/v1/stream_operations_pb.js";
import type { EngineProcess } from "../../engine/engine-streams.ts";
import type { OperationContext, Outcome } from "../operations/operation-context.ts";
import { carry } from "./carry.ts";

const usualSize = { columns: 80, rows: 24 };

/**
 * Runs a process in a container, or attaches to the container's own, and carries its input and output over a data stream, which goes on after this has resolved. The
 * process begins once the stream was accepted, which happens once for a ticket, and ends with the stream.
 */
export async function openProcess(request: OpenProcessValid, context: OperationContext): Promise<Outcome> {
  const container = await context.find(request.container);
  context.rooms.protection.refuse("openProcess", container);
  await context.rooms.streams.begin(
    request.ticket,
    async (stream) => {
      const process = await context.change(() => start(container.id, request, context));
      if (stream.signal.aborted) {
        await process.kill();
        throw new FleetError("CANCELLED", "nobody wants the process any more");
      }
      return () => carry(process, stream);
    },
    context.signal,
  );
  return {};
}

async function start(
  id: string,
  request: OpenProcessValid,
  context: OperationContext,
): Promise<EngineProcess> {
  const { engine } = context.rooms;
  const { process, tty, stdin, terminalSize = usualSize } = request;
  if (process === undefined) return await engine.attach(id, { stdin }, context.signal);
  const { command, environment, workingDirectory, user, privileged } = process;
  const { columns, rows } = terminalSize;
  const spec = { command, environment, workingDirectory, user, privileged, tty, stdin };
  return await engine.exec(id, { ...spec, ...(tty ? { columns, rows } : {}) }, context.signal);
}
