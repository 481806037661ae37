import { getOption } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { OperationSchema, type Operation } from "../gen/fairlead/agent/v1/operation_pb.js";
import { traits } from "../gen/fairlead/agent/v1/operation_traits_pb.js";

/** How generated code names an operation, for example "startContainer". */
export type OperationCase = NonNullable<Operation["operation"]["case"]>;

/** What the schema says of an operation, beside its own message. */
export interface OperationTraits {
  /** As the schema and people write it, for example "start_container". */
  readonly name: string;
  /** It changes something: journaled on both sides, takes effect at most once. */
  readonly mutates: boolean;
  /** Looking at the engine afterwards tells whether it took effect. */
  readonly converges: boolean;
  /** It may change something and is not journaled: its ticket sees to it that it is done at most once. */
  readonly acts: boolean;
  /** It only waits, maybe for long: others need not wait for it. */
  readonly waits: boolean;
  /** How long it may take when the caller does not say, in milliseconds. */
  readonly defaultTimeoutMs: number;
}

const traitsByCase: ReadonlyMap<string, OperationTraits> = new Map(
  OperationSchema.fields.map((field) => {
    const option = getOption(field, traits);
    if (option.defaultTimeout === undefined) {
      throw new TypeError(`the schema gives ${field.name} no default timeout`);
    }
    return [
      field.localName,
      {
        name: field.name,
        mutates: option.mutates,
        converges: option.converges,
        acts: option.acts,
        waits: option.waits,
        defaultTimeoutMs: durationMs(option.defaultTimeout),
      },
    ];
  }),
);

/** The traits of an operation, read from the schema. The one place that both sides ask. */
export function operationTraits(operation: OperationCase): OperationTraits {
  const found = traitsByCase.get(operation);
  if (found === undefined) throw new TypeError(`the schema knows no operation ${operation}`);
  return found;
}

/** The names of all operations of the schema, as `OperationTraits.name`. */
export const operationNames: readonly string[] = [...traitsByCase.values()].map(({ name }) => name);
