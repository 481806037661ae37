import { getOption, isFieldSet } from "@bufbuild/protobuf";
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  BytesRulesSchema,
  DurationRulesSchema,
  EnumRulesSchema,
  field as fieldOption,
  type FieldRules,
  FieldRulesSchema,
  Ignore,
  MapRulesSchema,
  RepeatedRulesSchema,
  StringRulesSchema,
  UInt32RulesSchema,
  UInt64RulesSchema,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** Whether a value keeps its rules for certain. False means only that somebody else has to look. */
export type PlainTest = (value: unknown) => boolean;

/** Whether the rules say that nothing of the value is looked at. */
export function isIgnored(rules: FieldRules | undefined): boolean {
  return rules?.ignore === Ignore.ALWAYS;
}

/** The rules of a field; undefined when it has none. */
export function rulesOfField(field: DescField): FieldRules | undefined {
  const rules = getOption(field, fieldOption);
  return setFields(FieldRulesSchema, rules).length === 0 && rules.$unknown === undefined ? undefined : rules;
}

/**
 * The test of a value's own rules: lengths, simple patterns, numbers, durations, counts. Undefined: one of the rules is not
 * among those that are known here.
 */
export function plainTest(
  rules: FieldRules | undefined,
  enumNumbers?: ReadonlySet<number>,
): PlainTest | undefined {
  if (rules === undefined) return anything;
  const unknown = setFields(FieldRulesSchema, rules).filter((name) => !knownOfField.has(name));
  if (unknown.some((name) => name !== rules.type.case) || rules.$unknown !== undefined) return undefined;
  if (rules.type.case === undefined) return anything;
  const make = makers[rules.type.case];
  return make?.(rules.type.value as never, enumNumbers);
}

const knownOfField = new Set(["required", "ignore"]);
const anything: PlainTest = () => true;

type Maker<Rules> = (rules: Rules, enumNumbers?: ReadonlySet<number>) => PlainTest | undefined;

const makers: { readonly [Case in NonNullable<FieldRules["type"]["case"]>]?: Maker<never> } = {
  string: maker(StringRulesSchema, {
    // Characters are counted, and a string has at least half as many of them as it has code units.
    minLen: (bound: bigint) => (value) => (value as string).length >= 2 * Number(bound) - 1,
    maxLen: (bound: bigint) => (value) => (value as string).length <= Number(bound),
    maxBytes: (bound: bigint) => (value) => 3 * (value as string).length <= Number(bound),
    pattern: (pattern: string) => patternTest(pattern),
  }),
  bytes: maker(BytesRulesSchema, {
    len: (bound: bigint) => (value) => (value as Uint8Array).byteLength === Number(bound),
    minLen: (bound: bigint) => (value) => (value as Uint8Array).byteLength >= Number(bound),
    maxLen: (bound: bigint) => (value) => (value as Uint8Array).byteLength <= Number(bound),
  }),
  uint32: maker(UInt32RulesSchema, {
    lt: (bound: number) => (value) => (value as number) < bound,
    lte: (bound: number) => (value) => (value as number) <= bound,
    gte: (bound: number) => (value) => (value as number) >= bound,
  }),
  uint64: maker(UInt64RulesSchema, {
    lte: (bound: bigint) => (value) => (value as bigint) <= bound,
  }),
  duration: maker(DurationRulesSchema, {
    lte: (bound: Duration) => (value) =>
      isUsual(value as Duration) && compared(value as Duration, bound) <= 0,
    gt: (bound: Duration) => (value) => isUsual(value as Duration) && compared(value as Duration, bound) > 0,
    gte: (bound: Duration) => (value) =>
      isUsual(value as Duration) && compared(value as Duration, bound) >= 0,
  }),
  repeated: maker(RepeatedRulesSchema, {
    items: () => anything, // by whoever goes through the items
    maxItems: (bound: bigint) => (value) => (value as readonly unknown[]).length <= Number(bound),
  }),
  map: maker(MapRulesSchema, {
    keys: () => anything,
    values: () => anything,
    maxPairs: (bound: bigint) => (value) => Object.keys(value as object).length <= Number(bound),
  }),
  enum: (rules, numbers) =>
    maker(EnumRulesSchema, {
      definedOnly: (isAsked: boolean) => (value) => !isAsked || numbers?.has(value as number) === true,
    })(rules),
};

/** Makes a test of all rules that are set; undefined when one of them has no test. */
function maker(
  schema: DescMessage,
  tests: Readonly<Record<string, (bound: never) => PlainTest | undefined>>,
): Maker<Message> {
  return (rules) => {
    if (rules.$unknown !== undefined) return undefined;
    const made: PlainTest[] = [];
    for (const name of setFields(schema, rules)) {
      const test = tests[name]?.(boundOf(rules, schema, name) as never);
      if (test === undefined) return undefined;
      made.push(test);
    }
    return made.length === 1 ? made[0] : (value) => made.every((test) => test(value));
  };
}

function setFields(schema: DescMessage, rules: Message): string[] {
  return schema.fields.filter((field) => isFieldSet(rules, field)).map(({ localName }) => localName);
}

// Bounds that exclude each other stand in a oneof, the others are fields.
function boundOf(rules: Message, schema: DescMessage, name: string): unknown {
  const oneof = schema.field[name]?.oneof;
  const fields = rules as unknown as Readonly<Record<string, unknown>>;
  return oneof === undefined ? fields[name] : (fields[oneof.localName] as { value: unknown }).value;
}

/**
 * Only what means the same to every engine for regular expressions, and takes no longer than the text: classes of characters of
 * which at most the last one repeats.
 */
function patternTest(pattern: string): PlainTest | undefined {
  if (!/^\^(?:\[[^\]\\^[]+\])*(?:\[[^\]\\^[]+\][*+])?\$$/.test(pattern)) return undefined;
  const compiled = new RegExp(pattern, "u");
  return (value) => compiled.test(value as string);
}

function isUsual({ seconds, nanos }: Duration): boolean {
  return seconds >= 0n && seconds <= 315_576_000_000n && nanos >= 0 && nanos < 1_000_000_000;
}

function compared(one: Duration, other: Duration): number {
  return one.seconds === other.seconds ? one.nanos - other.nanos : one.seconds < other.seconds ? -1 : 1;
}
