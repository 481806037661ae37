import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary, toJson } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { relayedLogs } from "../../../src/control-plane/streams/relayed-logs.ts";
import {
  type DataStreamRequest,
  DataStreamRequestSchema,
  type LogRecordsSchema,
  MissingLogsSchema,
} from "../../../src/gen/fairlead/agent/v1/data_stream_pb.js";
import { type LogBatch, LogBatchSchema } from "../../../src/gen/fairlead/container/v1/log_service_pb.js";
import { violationsOf } from "../../../src/rpc/message-validator.ts";
import { messages } from "../../support/messages.ts";

type Logs = MessageInitShape<typeof LogRecordsSchema>;

const time = { seconds: 1_767_323_045n, nanos: 999_999_999 };
const position = { time, sequence: 1 };
const record = { stream: 1, time, data: Buffer.from("a line\n") };

const written = (message: DataStreamRequest["message"] | { case: "logs"; value: Logs }) =>
  toBinary(DataStreamRequestSchema, create(DataStreamRequestSchema, { message }));

const logs = (value: Logs) => written({ case: "logs", value });

/** As a caller reads what is relayed. */
function batchOf(message: Uint8Array): LogBatch | undefined {
  const relayed = relayedLogs(message);
  if (relayed === undefined) return undefined;
  const batch = create(LogBatchSchema, { cursor: "here" });
  batch.$unknown = relayed.records;
  return fromBinary(LogBatchSchema, toBinary(LogBatchSchema, batch));
}

/** Whatever is relayed is what would have been decoded, and nothing that would have been refused. */
function checkRelayed(message: Uint8Array): void {
  const batch = batchOf(message);
  if (batch === undefined) return;
  const decoded = fromBinary(DataStreamRequestSchema, message);
  assert.deepEqual(violationsOf(DataStreamRequestSchema, decoded), []);
  assert.ok(decoded.message.case === "logs");
  const { records, position: place } = decoded.message.value;
  assert.deepEqual(batch.records.map(plain), records.map(plain));
  assert.deepEqual(relayedLogs(message)?.position, place);
  // What cannot be printed would break the caller's JSON.
  toJson(LogBatchSchema, batch);
}

const plain = ({ stream, time: at, data }: LogBatch["records"][number]) => ({
  stream,
  seconds: at?.seconds,
  nanos: at?.nanos,
  data: Buffer.from(data).toString("latin1"),
});

describe("logs that are passed on as they came", () => {
  it("O12 the caller reads the same records, of every size and from both outputs, and the place", () => {
    const records = [0, 1, 127, 128, 65_535, 65_536].map((bytes, index) => ({
      ...record,
      stream: index % 3,
      data: Buffer.alloc(bytes, index),
    }));
    const message = logs({ records, position });
    assert.equal(batchOf(message)?.records.length, records.length);
    checkRelayed(message);
    assert.deepEqual(relayedLogs(message)?.position?.sequence, 1);
    assert.equal(batchOf(logs({ records: [{ data: record.data }] }))?.records.length, 1, "without a time");
    assert.equal(
      batchOf(logs({ position }))?.records.length,
      0,
      "nothing matched, but the place is further on",
    );
    assert.equal(batchOf(message)?.cursor, "here");
  });

  it("V02 what breaks a bound, is odd, or is something else, is left to be decoded and judged", () => {
    const unknown = new BinaryWriter().tag(9, WireType.Varint).uint32(1).finish();
    const overlong = logs({ records: [record, record] });
    // The length of the first record's data, so that they end where the second record does.
    const dataAt = overlong.indexOf(record.data[0] ?? 0);
    overlong[dataAt - 1] = overlong.length - dataAt;
    // Both lengths, the record's and that of its data, say more than there is.
    const cut = logs({ records: [record] });
    const cutAt = cut.indexOf(record.data[0] ?? 0);
    for (const at of [3, cutAt - 1]) cut[at] = (cut[at] ?? 0) + 5;
    const secondPlace = logs({ position: { time, sequence: 2 } }).subarray(2);
    const placedTwice = Buffer.concat([logs({ records: [record], position }), secondPlace]);
    placedTwice[1] = placedTwice.length - 2;
    const other: Record<string, Uint8Array> = {
      "a record that is cut off": cut,
      "two places": placedTwice,
      "data that go on behind their record": overlong,
      "too long": logs({ records: [{ ...record, data: Buffer.alloc(65_537) }] }),
      "too many": logs({ records: Array.from({ length: 4_097 }, () => ({ data: record.data })) }),
      "a time after the calendar": logs({ records: [{ ...record, time: { seconds: 253_402_300_800n } }] }),
      "a time before it": logs({ records: [{ ...record, time: { seconds: -62_135_596_801n } }] }),
      "nanoseconds of more than a second": logs({
        records: [{ ...record, time: { seconds: 1n, nanos: 1_000_000_000 } }],
      }),
      "negative nanoseconds": logs({ records: [{ ...record, time: { seconds: 1n, nanos: -1 } }] }),
      "a place without a time": logs({ records: [record], position: { sequence: 1 } }),
      "a place before the first": logs({ records: [record], position: { time, sequence: 0 } }),
      "a field that is not known": Buffer.concat([logs({ records: [record] }), unknown]),
      "records that are missing": written({
        case: "missingLogs",
        value: create(MissingLogsSchema),
      }),
      nothing: new Uint8Array(0),
    };
    for (const [what, message] of Object.entries(other)) assert.ok(relayedLogs(message) === undefined, what);
  });

  it("V09 whatever bytes an agent sends, nothing is relayed that would be refused or read otherwise", () => {
    const some = messages(DataStreamRequestSchema, 4).map((init) =>
      toBinary(
        DataStreamRequestSchema,
        create(DataStreamRequestSchema, init as MessageInitShape<typeof DataStreamRequestSchema>),
      ),
    );
    const good = fc.constant(logs({ records: [record, { ...record, stream: 2 }], position }));
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });
    fc.assert(
      fc.property(fc.oneof(some, good), changes, fc.nat(200), (message, changed, cut) => {
        const bytes = Uint8Array.from(message);
        for (const [at, byte] of changed) bytes[at % bytes.length] = byte;
        checkRelayed(bytes);
        checkRelayed(bytes.subarray(0, Math.max(0, bytes.length - cut)));
      }),
      { numRuns: 3_000 },
    );
  });
});
