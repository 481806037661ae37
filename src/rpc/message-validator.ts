import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { FieldViolation } from "../domain/errors.ts";
import { isPlainlyValid } from "./plain-validity.ts";

// Rules are compiled once for each message type; one validator a process keeps them.
const validator = createValidator();

/**
 * The rules of the schema that a message breaks, each with the path of its field; empty when it breaks none. A rule that
 * cannot be evaluated is a fault of the schema, and throws.
 */
export function violationsOf<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): FieldViolation[] {
  if (isPlainlyValid(schema, message)) return [];
  const result = validator.validate(schema, message);
  if (result.kind === "valid") return [];
  if (result.kind === "error") throw result.error;
  return result.violations.map((violation) => ({
    field: pathToString(violation.field),
    description: violation.message,
  }));
}
