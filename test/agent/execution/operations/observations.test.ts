import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { boundedChanges, boundedProcesses } from "../../../../src/agent/execution/operations/observations.ts";
import {
  FilesystemChange_Kind,
  FilesystemChangesSchema,
} from "../../../../src/gen/fairlead/container/v1/filesystem_change_pb.js";
import { ProcessTableSchema } from "../../../../src/gen/fairlead/container/v1/process_table_pb.js";
import { violationsOf } from "../../../../src/rpc/message-validator.ts";

const resultBytes = 4 * 1024 * 1024;

const rows = (count: number, value: string) => Array.from({ length: count }, (_, at) => [`${at}`, value]);
const paths = (count: number, length: number) =>
  Array.from({ length: count }, (_, at) => `/${at}`.padEnd(length, "é"));

describe("what an engine tells of processes and files", () => {
  it("O15 stays within the bounds of the schema and of a result, and says that it was cut", () => {
    for (const [processes, kept, isCut] of [
      [rows(3, "sleep 600"), 3, false],
      [rows(40_000, "x"), 32_768, true],
      [rows(2_000, "é".repeat(4_000)), undefined, true],
      [rows(2, "\ud83d".repeat(5_000)), 2, true],
      [[Array.from({ length: 99 }, () => "x")], 1, true],
    ] as const) {
      const bounded = boundedProcesses({ titles: ["PID", "CMD"], processes });
      const table = create(ProcessTableSchema, bounded);
      assert.deepEqual(violationsOf(ProcessTableSchema, table), []);
      assert.ok(toBinary(ProcessTableSchema, table).byteLength < resultBytes);
      assert.equal(table.truncated, isCut);
      if (kept !== undefined) assert.equal(table.processes.length, kept);
    }
  });

  it("O15 the same of changes: what is told is the beginning", () => {
    for (const [given, isCut] of [
      [paths(3, 20), false],
      [paths(70_000, 2), true],
      [paths(5_000, 4_000), true],
      [["/short", "/long".padEnd(5_000, "x")], true],
    ] as const) {
      const changes = given.map((path) => ({ path, kind: FilesystemChange_Kind.ADDED }));
      const message = create(FilesystemChangesSchema, boundedChanges(changes));
      assert.deepEqual(violationsOf(FilesystemChangesSchema, message), []);
      assert.ok(toBinary(FilesystemChangesSchema, message).byteLength < resultBytes);
      assert.equal(message.truncated, isCut);
      assert.equal(message.changes[0]?.path, given[0]);
    }
  });
});
