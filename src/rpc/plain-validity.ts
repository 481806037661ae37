import { getOption } from "@bufbuild/protobuf";
import type { DescField, DescMessage, DescOneof, Message, MessageShape } from "@bufbuild/protobuf";
import { DurationSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import {
  type FieldRules,
  message as messageOption,
  oneof as oneofOption,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { isIgnored, type PlainTest, plainTest, rulesOfField } from "./plain-rules.ts";
import { isTime } from "./timestamp-violations.ts";

type Fields = Readonly<Record<string, unknown>>;
type FieldTest = (fields: Fields) => boolean;

/**
 * Whether a message keeps all rules of its schema, and has no impossible time, for certain. It knows only the plain rules,
 * which nearly every message of nearly every stream has to do with, at about a twentieth of the price of the whole validator. False
 * says nothing: then the whole validator decides, and finds the words.
 */
export function isPlainlyValid<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): boolean {
  const fields = message as unknown as Fields;
  for (const test of testsOf(schema)) {
    if (!test(fields)) return false;
  }
  return true;
}

const testsOfSchema = new Map<DescMessage, readonly FieldTest[]>();

function testsOf(schema: DescMessage): readonly FieldTest[] {
  const known = testsOfSchema.get(schema);
  if (known !== undefined) return known;
  const tests = makeTests(schema);
  testsOfSchema.set(schema, tests);
  return tests;
}

function makeTests(schema: DescMessage): readonly FieldTest[] {
  const rules = getOption(schema, messageOption);
  const hasOddRules =
    rules.cel.length + rules.celExpression.length + rules.oneof.length > 0 || rules.$unknown !== undefined;
  if (hasOddRules || schema.oneofs.some((oneof) => getOption(oneof, oneofOption).required)) {
    return [() => false];
  }
  return schema.members.flatMap(
    (member) => (member.kind === "oneof" ? oneofTest(member) : fieldTest(member)) ?? [],
  );
}

/** Looks only at the case that was chosen: some of them have two dozen. Undefined: whatever it is, it is fine. */
function oneofTest({ localName, fields: cases }: DescOneof): FieldTest | undefined {
  const tests = new Map<string, PlainTest>();
  for (const field of cases) {
    const rules = rulesOfField(field);
    if (isIgnored(rules)) continue;
    if (rules?.required === true) return () => false;
    const test = valueTest(field, rules);
    if (test !== undefined) tests.set(field.localName, test);
  }
  if (tests.size === 0) return undefined;
  return (fields) => {
    const { case: chosen, value } = fields[localName] as { readonly case?: string; readonly value?: unknown };
    return chosen === undefined || value === undefined || (tests.get(chosen)?.(value) ?? true);
  };
}

/** Undefined: whatever the field holds is fine. */
function fieldTest(field: DescField): FieldTest | undefined {
  const rules = rulesOfField(field);
  if (isIgnored(rules)) return undefined;
  const test = valueTest(field, rules);
  const isRequired = rules?.required === true;
  if (isRequired && field.fieldKind !== "message") return () => false;
  const { localName } = field;
  if (test === undefined) return isRequired ? (fields) => fields[localName] !== undefined : undefined;
  return (fields) => {
    const value = fields[localName];
    return value === undefined ? !isRequired : test(value);
  };
}

/** Undefined: every value is fine. */
function valueTest(field: DescField, rules: FieldRules | undefined): PlainTest | undefined {
  const own = ownTest(field, rules);
  const inner = innerTest(field, rules);
  if (own === undefined || inner === undefined) return own ?? inner;
  return (value) => own(value) && inner(value);
}

function ownTest(field: DescField, rules: FieldRules | undefined): PlainTest | undefined {
  if (rules === undefined) return undefined;
  return plainTest(rules, enumNumbersOf(field)) ?? doubtful;
}

/** What is inside: a message, or the items of a list, or the entries of a map. */
function innerTest(field: DescField, rules: FieldRules | undefined): PlainTest | undefined {
  switch (field.fieldKind) {
    case "message":
      return messageTest(field.message);
    case "list": {
      const items = rules?.type.case === "repeated" ? rules.type.value.items : undefined;
      const test = elementTest(field, items);
      return test && ((list) => (list as readonly unknown[]).every(test));
    }
    case "map": {
      const { keys, values } = rules?.type.case === "map" ? rules.type.value : {};
      const keyTest = isIgnored(keys) || keys === undefined ? undefined : (plainTest(keys) ?? doubtful);
      const test = elementTest(field, values);
      if (keyTest === undefined && test === undefined) return undefined;
      return (map) => {
        const entries = map as Fields;
        for (const key of Object.keys(entries)) {
          if (keyTest?.(key) === false || test?.(entries[key]) === false) return false;
        }
        return true;
      };
    }
    default:
      return undefined;
  }
}

function elementTest(
  field: DescField & { readonly fieldKind: "list" | "map" },
  rules: FieldRules | undefined,
): PlainTest | undefined {
  if (isIgnored(rules)) return undefined;
  const own = rules === undefined ? undefined : (plainTest(rules, enumNumbersOf(field)) ?? doubtful);
  const inner = field.message === undefined ? undefined : messageTest(field.message);
  if (own === undefined || inner === undefined) return own ?? inner;
  return (value) => own(value) && inner(value);
}

function messageTest(schema: DescMessage): PlainTest {
  if (schema.typeName === TimestampSchema.typeName) return (value) => isTime(value as Timestamp);
  if (schema.typeName === DurationSchema.typeName) return () => true;
  // The others of Google's types look different in JavaScript than in their schema.
  if (schema.typeName.startsWith("google.protobuf.")) return doubtful;
  return (value) => isPlainlyValid(schema, value as Message);
}

function enumNumbersOf(field: DescField): ReadonlySet<number> | undefined {
  return field.enum && new Set(field.enum.values.map(({ number }) => number));
}

const doubtful: PlainTest = () => false;
