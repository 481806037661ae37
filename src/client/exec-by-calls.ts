import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { FleetError } from "../domain/errors.ts";
import type {
  ExecRequestSchema,
  ExecService,
  StartExecResponse,
} from "../gen/fairlead/container/v1/exec_service_pb.js";

/** What `ExecService.Exec` takes. */
export type ExecRequestInit = MessageInitShape<typeof ExecRequestSchema>;

/**
 * The same as `ExecService.Exec`, by single calls, for a way to the control plane that lets HTTP/1.1 through and nothing else: what comes out is
 * streamed, what goes in is sent piece after piece, each when the one before was taken. Rejects as Exec does.
 */
export async function* execByCalls(
  processes: Client<typeof ExecService>,
  requests: AsyncIterable<ExecRequestInit>,
  signal: AbortSignal,
): AsyncGenerator<StartExecResponse, void> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const message = first.done === true ? undefined : first.value.message;
  if (message?.case !== "start") throw new FleetError("INVALID_ARGUMENT", "start: must be the first message");
  let broken: { readonly cause: unknown } | undefined;
  const call = new AbortController();
  const signals = AbortSignal.any([signal, call.signal]);
  for await (const answer of processes.startExec({ start: message.value }, { signal: signals })) {
    if (answer.message.case === "started") {
      const { execId } = answer.message.value;
      void feed(processes, execId, iterator, signals).catch((error: unknown) => {
        broken = { cause: error };
        call.abort();
      });
    }
    yield answer;
  }
  if (broken !== undefined) throw broken.cause;
}

async function feed(
  processes: Client<typeof ExecService>,
  execId: string,
  requests: AsyncIterator<ExecRequestInit>,
  signal: AbortSignal,
): Promise<void> {
  for (let sequence = 1n; ; sequence += 1n) {
    const next = await requests.next();
    if (next.done === true) return;
    const { message } = next.value;
    if (message?.case !== "input") throw new FleetError("INVALID_ARGUMENT", "start: a second one");
    try {
      await processes.sendExecInput({ execId, sequence, input: message.value }, { signal });
    } catch (error) {
      // It has ended meanwhile: its exit code is on its way.
      if (error instanceof FleetError && error.reason === "EXEC_NOT_FOUND") return;
      if (!signal.aborted) throw error;
    }
  }
}
