import type { ProcessInput } from "../../../gen/fairlead/container/v1/process_pb.js";
import { OutputStream } from "../../../gen/fairlead/container/v1/log_pb.js";
import type { EngineProcess } from "../../engine/engine-streams.ts";
import type { DataStream, EndOfStream } from "../../streams/data-stream.ts";

// As large as the pieces of a log: what waits for a slow reader is counted in messages.
const messageBytes = 16 * 1024;

/**
 * Carries what goes into a process and what comes out of it, until it has ended or nobody wants it any more; then it is ended. What it
 * wrote is told to its last byte before its exit code.
 */
export async function carry(process: EngineProcess, stream: DataStream): Promise<EndOfStream> {
  const onAbort = () => void process.kill();
  stream.signal.addEventListener("abort", onAbort, { once: true });
  const feeding = feed(process, stream);
  try {
    for await (const { stream: output, data } of process.output) {
      const to = output === "stdout" ? OutputStream.STDOUT : OutputStream.STDERR;
      for (let from = 0; from < data.byteLength; from += messageBytes) {
        const piece = data.subarray(from, from + messageBytes);
        await stream.send({ case: "output", value: { stream: to, data: piece } });
      }
    }
    return { exitCode: await process.exitCode(stream.signal) };
  } finally {
    stream.signal.removeEventListener("abort", onAbort);
    await process.kill();
    void feeding;
  }
}

/** Never rejects: a stream that ended says so by its signal. */
async function feed(process: EngineProcess, stream: DataStream): Promise<void> {
  try {
    for await (const message of stream.input()) {
      // A signal or a size that cannot be had is no reason to take nothing more.
      if (message.case === "input") await give(process, message.value).catch(() => undefined);
    }
  } catch {
    // A stream that broke ends the process by its signal.
  }
}

async function give(process: EngineProcess, { input }: ProcessInput): Promise<void> {
  switch (input.case) {
    case "data":
      await process.write(input.value);
      return;
    case "end":
      await process.closeInput();
      return;
    case "resize":
      await process.resize(input.value.columns, input.value.rows);
      return;
    case "signal":
      await process.signal(input.value);
      return;
    case undefined:
      return;
  }
}
