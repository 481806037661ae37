import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

/** Messages of a schema, as `create` takes them, whose values lie at both sides of the usual bounds; so many messages deep at most. */
export function messages(schema: DescMessage, depth: number): fc.Arbitrary<Message> {
  const single = schema.fields.filter(({ oneof }) => oneof === undefined);
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of single) {
    if (field.message === undefined || depth > 0) parts[field.localName] = fieldValues(field, depth);
  }
  for (const { localName, fields } of schema.oneofs) {
    const cases = fields
      .filter(({ message }) => message === undefined || depth > 0)
      .map((field) => fc.record({ case: fc.constant(field.localName), value: fieldValues(field, depth) }));
    if (cases.length > 0) parts[localName] = fc.oneof(...cases);
  }
  return fc.record(parts, { requiredKeys: [] }) as unknown as fc.Arbitrary<Message>;
}

function fieldValues(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "list":
      return fc.array(elements(field, depth), { maxLength: 2 });
    case "map":
      return fc.dictionary(texts, elements(field, depth), { maxKeys: 2 });
    default:
      return elements(field, depth);
  }
}

function elements(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return messages(field.message, depth - 1);
  if (field.enum !== undefined) return fc.nat(20);
  switch (field.scalar) {
    case ScalarType.STRING:
      return texts;
    case ScalarType.BYTES:
      return fc.constantFrom(0, 1, 16, 32, 64, 65).map((length) => new Uint8Array(length));
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.constantFrom(0n, 1n, -1n, 3_600n, 86_400n, 86_401n, 2n ** 60n);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.constantFrom(0n, 1n, 86_400n, 2n ** 60n);
    case ScalarType.INT32:
      return fc.constantFrom(0, 1, -1, 999_999_999, 1_000_000_000);
    default:
      return fc.constantFrom(0, 1, 4_095, 4_096, 65_535, 65_536, 4_294_967_295);
  }
}

const texts = fc.oneof(
  fc.constantFrom(
    "a",
    "web-1",
    "CONFLICT",
    "x".repeat(64),
    "y".repeat(65),
    "\u{1f600}",
    "a\n",
    "é".repeat(255),
  ),
  fc.string({ maxLength: 6, unit: "grapheme" }),
);
