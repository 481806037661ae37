import { type DescField, type DescMessage, type MessageInitShape, ScalarType } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { WireWriter } from "./wire-writer.ts";

type Fields = Readonly<Record<string, unknown>>;
type Write<Value> = (writer: WireWriter, value: Value) => void;

interface UnknownField {
  readonly no: number;
  readonly wireType: WireType;
  readonly data: Uint8Array;
}

/**
 * Writes a message, or what `create` would make one of, as `toBinary` does: for messages of which there are so many that two buffers
 * for each of them are most of their price. Throws `TypeError` for a kind of field that the own schema does not have.
 */
export function writeMessage<Desc extends DescMessage>(
  writer: WireWriter,
  schema: Desc,
  message: MessageInitShape<Desc>,
): void {
  fieldsWriter(schema)(writer, message);
}

/** A serialised message for what is soon done with: it shares its memory, as `WireWriter.finish` says. */
export function messageBytes<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc>,
): Uint8Array {
  writeMessage(ownWriter.begin(), schema, message);
  return ownWriter.finish();
}

const ownWriter = new WireWriter();
const writers = new Map<DescMessage, Write<Fields>>();

function fieldsWriter(schema: DescMessage): Write<Fields> {
  const known = writers.get(schema);
  if (known !== undefined) return known;
  const members: Write<Fields>[] = [];
  const write: Write<Fields> = (writer, fields) => {
    for (const member of members) member(writer, fields);
    const unknown = fields["$unknown"] as readonly UnknownField[] | undefined;
    for (const { no, wireType, data } of unknown ?? []) writer.tag(no, wireType).raw(data);
  };
  // Before its fields, among which there may be one of the same kind.
  writers.set(schema, write);
  for (const member of schema.members) {
    members.push(
      member.kind === "oneof" ? oneofWriter(member.localName, member.fields) : memberWriter(member),
    );
  }
  return write;
}

function oneofWriter(name: string, cases: readonly DescField[]): Write<Fields> {
  const writerOfCase = new Map(cases.map((field) => [field.localName, elementWriter(field, field.number)]));
  return (writer, fields) => {
    const chosen = fields[name] as { readonly case?: string; readonly value?: unknown } | undefined;
    if (chosen?.case !== undefined) writerOfCase.get(chosen.case)?.(writer, chosen.value);
  };
}

function memberWriter(field: DescField): Write<Fields> {
  const { localName: name, number } = field;
  if (field.fieldKind === "map") return mapWriter(field);
  const write = elementWriter(field, number);
  if (field.fieldKind !== "list") {
    const isImplicit = field.presence === FeatureSet_FieldPresence.IMPLICIT;
    return (writer, fields) => {
      const value = fields[name];
      if (value !== undefined && !(isImplicit && isZero(value))) write(writer, value);
    };
  }
  if (field.packed) return packedWriter(field);
  return (writer, fields) => {
    for (const value of (fields[name] ?? []) as readonly unknown[]) write(writer, value);
  };
}

function packedWriter(field: DescField & { readonly fieldKind: "list" }): Write<Fields> {
  const { write } = scalarWriter(field);
  return (writer, fields) => {
    const values = (fields[field.localName] ?? []) as readonly unknown[];
    if (values.length === 0) return;
    const mark = writer.tag(field.number, WireType.LengthDelimited).fork();
    for (const value of values) write(writer, value);
    writer.join(mark);
  };
}

function mapWriter(field: DescField & { readonly fieldKind: "map" }): Write<Fields> {
  if (field.mapKey !== ScalarType.STRING) throw new TypeError(`no way to write the keys of ${field.name}`);
  const write = elementWriter(field, 2);
  return (writer, fields) => {
    for (const [key, value] of Object.entries((fields[field.localName] ?? {}) as Fields)) {
      const mark = writer.tag(field.number, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.LengthDelimited).string(key);
      write(writer, value);
      writer.join(mark);
    }
  };
}

/** A value, an element of a list, or a value of a map, with its tag. */
function elementWriter(field: DescField, number: number): Write<unknown> {
  if (field.message === undefined) {
    const { type, write } = scalarWriter(field);
    return (writer, value) => write(writer.tag(number, type), value);
  }
  const write = fieldsWriter(field.message);
  return (writer, value) => {
    const mark = writer.tag(number, WireType.LengthDelimited).fork();
    write(writer, value as Fields);
    writer.join(mark);
  };
}

interface ScalarWriter {
  readonly type: WireType;
  readonly write: Write<unknown>;
}

const { LengthDelimited, Varint, Bit64 } = WireType;

const scalarWriters: { readonly [Type in ScalarType]?: ScalarWriter } = {
  [ScalarType.STRING]: { type: LengthDelimited, write: (writer, value) => writer.string(value as string) },
  [ScalarType.BYTES]: { type: LengthDelimited, write: (writer, value) => writer.bytes(value as Uint8Array) },
  [ScalarType.BOOL]: { type: Varint, write: (writer, value) => writer.uint32(Number(value)) },
  [ScalarType.UINT32]: { type: Varint, write: (writer, value) => writer.uint32(value as number) },
  [ScalarType.INT32]: { type: Varint, write: (writer, value) => writeInt32(writer, value as number) },
  [ScalarType.UINT64]: { type: Varint, write: (writer, value) => writer.int64(value as bigint) },
  [ScalarType.INT64]: { type: Varint, write: (writer, value) => writer.int64(value as bigint) },
  [ScalarType.DOUBLE]: { type: Bit64, write: (writer, value) => writer.double(value as number) },
};

function scalarWriter({ enum: isEnum, scalar, name }: DescField): ScalarWriter {
  const writer = scalarWriters[isEnum === undefined ? (scalar ?? ScalarType.FLOAT) : ScalarType.INT32];
  if (writer === undefined) throw new TypeError(`no way to write ${name}`);
  return writer;
}

function writeInt32(writer: WireWriter, value: number): void {
  if (value >= 0) writer.uint32(value);
  else writer.int64(BigInt(value));
}

function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.byteLength === 0;
  return value === "" || value === false || value === 0n || Object.is(value, 0);
}
