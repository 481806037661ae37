import assert from "node:assert/strict";
import type { LogQuery, LogRecord } from "../../src/agent/engine/engine-streams.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { type EngineKit, settled } from "./engine-kit.ts";

/** Everything that the engine still has, without following. */
export const wholeLog: LogQuery = {
  stdout: true,
  stderr: true,
  follow: false,
  tail: undefined,
  sinceNs: undefined,
  untilNs: undefined,
};

/** Reads a log to its end. */
export async function readLog(
  kit: EngineKit,
  container: string,
  query: Partial<LogQuery> = {},
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const together of kit.engine.logs(container, { ...wholeLog, ...query }, neverAborted)) {
    assert.ok(together.length > 0, "an engine hands on nothing");
    records.push(...together);
  }
  return records;
}

/** The records of a log one by one, however many the engine hands on at once. */
export async function* oneByOne(log: AsyncIterable<readonly LogRecord[]>): AsyncGenerator<LogRecord, void> {
  for await (const records of log) yield* records;
}

/** The data of records put together. */
export function bytesOf(records: readonly { readonly data: Uint8Array }[]): Buffer {
  return Buffer.concat(records.map(({ data }) => data));
}

/** Each record as text. */
export function linesOf(records: readonly { readonly data: Uint8Array }[]): string[] {
  return records.map(({ data }) => Buffer.from(data).toString("utf8"));
}

/** Runs a script in a container to its end. Resolves to its id. */
export async function runToEnd(kit: EngineKit, script: string, tty = false): Promise<string> {
  const { id } = await kit.run({ command: ["sh", "-c", script], tty });
  await settled(async () => (await kit.stateOf(id)) === ContainerState.EXITED);
  return id;
}
