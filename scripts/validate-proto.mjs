// Prints the schema of protovalidate from the descriptor that its runtime carries, so that the schema which
// buf compiles against and the rules which the runtime enforces can never be of different versions.
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as file } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

const maximumNumberEnd = 536870912;

/**
 * The text of `buf/validate/validate.proto`, without comments and without the options that only the runtime
 * reads. Throws when the descriptor holds something that this printer does not know how to write.
 */
export function validateProtoText() {
  const proto = file.proto;
  if (proto.syntax !== "" && proto.syntax !== "proto2") {
    throw new Error(
      `buf/validate/validate.proto is written in ${proto.syntax}, which this printer does not know`,
    );
  }
  return [
    'syntax = "proto2";',
    `package ${proto.package};`,
    ...proto.dependency.map((path) => `import "${path}";`),
    ...proto.extension.map((field) => `extend ${field.extendee} { ${fieldText(field)} }`),
    ...proto.messageType.map(messageText),
    ...proto.enumType.map(enumText),
    "",
  ].join("\n");
}

function messageText(message) {
  if (message.nestedType.length + message.enumType.length + message.extension.length > 0) {
    throw new Error(`${message.name} has nested declarations, which this printer does not know`);
  }
  const oneofs = message.oneofDecl.map((oneof, index) => {
    const members = message.field.filter((field) => field.oneofIndex === index && hasOneof(field));
    return block(
      `oneof ${oneof.name}`,
      members.map((field) => fieldText(field, "")),
    );
  });
  const fields = message.field.filter((field) => !hasOneof(field)).map((field) => fieldText(field));
  return block(`message ${message.name}`, [
    ...fields,
    ...oneofs,
    ...message.extensionRange.map((range) => `extensions ${rangeText(range)};`),
    ...message.reservedRange.map((range) => `reserved ${rangeText(range)};`),
    ...message.reservedName.map((name) => `reserved "${name}";`),
  ]);
}

function hasOneof(field) {
  return Object.hasOwn(field, "oneofIndex");
}

function rangeText({ start, end }) {
  return `${start} to ${end === maximumNumberEnd ? "max" : end - 1}`;
}

function fieldText(field, label = `${Label[field.label].toLowerCase()} `) {
  const type = field.typeName || Type[field.type].toLowerCase();
  const packed = field.options?.packed === true ? " [packed = true]" : "";
  return `${label}${type} ${field.name} = ${field.number}${packed};`;
}

function enumText({ name, value }) {
  return block(
    `enum ${name}`,
    value.map((entry) => `${entry.name} = ${entry.number};`),
  );
}

function block(head, lines) {
  return `${head} {\n${lines.map((line) => `  ${line}`).join("\n")}\n}`;
}
