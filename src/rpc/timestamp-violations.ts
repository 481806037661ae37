import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "../domain/errors.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A field through which times can be reached. */
interface Step {
  readonly field: DescField;
  readonly schema: DescMessage;
}

// What google.protobuf.Timestamp allows: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z.
const firstSecond = -62_135_596_800n;
const lastSecond = 253_402_300_799n;

const stepsOfSchema = new Map<DescMessage, readonly Step[]>();

/**
 * The timestamps of a message, however deep, that are none. Protobuf carries any number in them, but nothing can print what
 * is beyond the calendar, so that one odd time would spoil every list that it is in. The schema's own rules cannot say it for
 * all of them at once.
 */
export function timestampViolations(schema: DescMessage, message: Message): FieldViolation[] {
  return violationsIn(schema, message, "");
}

function violationsIn(schema: DescMessage, message: Message, path: string): FieldViolation[] {
  const violations: FieldViolation[] = [];
  for (const step of stepsOf(schema)) {
    for (const [key, value] of valuesOf(message, step.field)) {
      const at = `${path}${step.field.name}${key}`;
      if (step.schema.typeName !== TimestampSchema.typeName) {
        violations.push(...violationsIn(step.schema, value, `${at}.`));
      } else if (!isTime(value as Timestamp)) {
        violations.push({ field: at, description: "must be a time between the years 1 and 9999" });
      }
    }
  }
  return violations;
}

/** Whether a timestamp is one that the calendar has. */
export function isTime({ seconds, nanos }: Timestamp): boolean {
  return seconds >= firstSecond && seconds <= lastSecond && nanos >= 0 && nanos < 1_000_000_000;
}

function valuesOf(fields: Fields, { oneof, localName, fieldKind }: DescField): [string, Message][] {
  if (oneof !== undefined) {
    const chosen = fields[oneof.localName] as { case: string; value: Message };
    return chosen.case === localName ? [["", chosen.value]] : [];
  }
  const value = fields[localName];
  if (value === undefined) return [];
  if (fieldKind === "list") return (value as Message[]).map((item, index) => [`[${index}]`, item]);
  if (fieldKind === "map") {
    return Object.entries(value as Record<string, Message>).map(([key, item]) => [
      `[${JSON.stringify(key)}]`,
      item,
    ]);
  }
  return [["", value as Message]];
}

function stepsOf(schema: DescMessage): readonly Step[] {
  const known = stepsOfSchema.get(schema);
  if (known !== undefined) return known;
  const steps = schema.fields.flatMap((field) =>
    field.message !== undefined && reachesTimes(field.message, new Set())
      ? [{ field, schema: field.message }]
      : [],
  );
  stepsOfSchema.set(schema, steps);
  return steps;
}

function reachesTimes(schema: DescMessage, seen: Set<DescMessage>): boolean {
  if (schema.typeName === TimestampSchema.typeName) return true;
  if (seen.has(schema)) return false;
  seen.add(schema);
  return schema.fields.some(({ message }) => message !== undefined && reachesTimes(message, seen));
}
