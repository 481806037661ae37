import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { FieldViolation } from "../../../domain/errors.ts";
import { type Command, CommandSchema } from "../../../gen/fairlead/agent/v1/command_pb.js";
import { OperationSchema, type OperationValid } from "../../../gen/fairlead/agent/v1/operation_pb.js";
import { violationsOf } from "../../../rpc/message-validator.ts";

/** An operation that this version knows. */
export type KnownOperation = Exclude<OperationValid["operation"], { case: undefined }>;

/** The bounds of the schema that a command breaks; empty when it breaks none. */
export function commandViolations(command: Command): FieldViolation[] {
  return violationsOf(CommandSchema, command);
}

/** What a command that breaks no bound asks for. Undefined: nothing that this version knows. */
export function knownOperation(command: Command): KnownOperation | undefined {
  // Valid types differ from the plain ones only in what `commandViolations` has looked at.
  const operation = command.operation?.operation as OperationValid["operation"] | undefined;
  return operation?.case === undefined ? undefined : operation;
}

/** The serialised Operation of a command, for the journal. */
export function encodedOperation(command: Command): Uint8Array {
  return command.operation === undefined ? new Uint8Array() : toBinary(OperationSchema, command.operation);
}

/** What the journal holds of an operation. Undefined: nothing, or nothing that this version knows. */
export function operationFrom(bytes: Uint8Array): KnownOperation | undefined {
  const operation = fromBinary(OperationSchema, bytes).operation as OperationValid["operation"];
  return operation.case === undefined ? undefined : operation;
}

/** The container that an operation names; for a creation the new one's name, which may be empty; empty where it is about several. */
export function containerOf(operation: KnownOperation): string {
  if (operation.case === "createContainer") return operation.value.name;
  return "container" in operation.value ? operation.value.container : "";
}
