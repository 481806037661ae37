import { nsFromSeconds } from "../../../domain/nanoseconds.ts";
import type { OpenLogsValid } from "../../../gen/fairlead/agent/v1/stream_operations_pb.js";
import type { LogQuery } from "../../engine/engine-streams.ts";
import type { DataStream } from "../../streams/data-stream.ts";
import type { OperationContext, Outcome } from "../operations/operation-context.ts";
import { LineFilter } from "./line-filter.ts";
import { lineTest } from "./line-test.ts";
import { logMessages } from "./log-messages.ts";
import { disorderNs, type LogPosition, placed } from "./log-positions.ts";

/** Streams a container's log over a data stream of its own, which goes on after this has resolved. */
export async function openLogs(request: OpenLogsValid, context: OperationContext): Promise<Outcome> {
  const { engine, streams } = context.rooms;
  const container = await context.find(request.container);
  const test = request.match === undefined ? undefined : lineTest(request.match);
  const after = request.after && {
    timeNs: nsFromSeconds(request.after.time),
    sequence: request.after.sequence,
  };
  const query = queryFrom(request, after);
  await streams.run(
    request.ticket,
    async (stream) => {
      const records = engine.logs(container.id, query, stream.signal);
      const wishes = {
        stdout: !request.withoutStdout,
        stderr: !request.withoutStderr,
        lines: test && new LineFilter(test),
      };
      await pump(logMessages(placed(records, after), wishes), stream);
      return {};
    },
    context.signal,
  );
  return {};
}

// A place is counted over both streams, so that both are read where it matters.
function queryFrom(request: OpenLogsValid, after: LogPosition | undefined): LogQuery {
  const { follow, tail, sinceTime, untilTime } = request;
  return {
    stdout: true,
    stderr: true,
    follow,
    tail: after === undefined ? tail : undefined,
    sinceNs: after === undefined ? sinceTime && nsFromSeconds(sinceTime) : from(after.timeNs),
    untilNs: untilTime && nsFromSeconds(untilTime),
  };
}

async function pump(messages: ReturnType<typeof logMessages>, stream: DataStream): Promise<void> {
  void stream.watch();
  for await (const message of messages) await stream.send(message);
}

// Far enough back that the place itself is met, and all that stands behind it.
function from(timeNs: bigint): bigint {
  return timeNs > disorderNs ? timeNs - disorderNs : 0n;
}
