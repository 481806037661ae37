import assert from "node:assert/strict";
import { type DescField, type DescMessage, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import {
  field as fieldRules,
  type FieldRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { HelloSchema } from "../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { schemaServices } from "../support/schema-services.ts";

/** Every message that comes in from outside: requests of all services, and what is in them. */
async function inbound(): Promise<Set<DescMessage>> {
  const found = new Set<DescMessage>();
  // What an agent signs travels as bytes, and is decoded here.
  const waiting: DescMessage[] = [
    ...(await schemaServices()).flatMap(({ methods }) => methods.map(({ input }) => input)),
    HelloSchema,
  ];
  for (let message = waiting.pop(); message !== undefined; message = waiting.pop()) {
    if (found.has(message) || message.typeName.startsWith("google.protobuf.")) continue;
    found.add(message);
    for (const each of message.fields) {
      if (each.message !== undefined) waiting.push(each.message);
    }
  }
  return found;
}

type Rules = FieldRules["type"];

/** What could be of any size, and has no bound. */
function unbounded(each: DescField): string[] {
  const name = `${each.parent.typeName}.${each.name}`;
  const rules: Rules = hasOption(each, fieldRules) ? getOption(each, fieldRules).type : { case: undefined };
  switch (each.fieldKind) {
    case "list": {
      const list = rules.case === "repeated" ? rules.value : undefined;
      const items = each.listKind === "scalar" ? sized(each.scalar, list?.items?.type) : true;
      return [
        ...(list !== undefined && list.maxItems > 0n ? [] : [`${name}: no max_items`]),
        ...(items ? [] : [`${name}: items without a bound`]),
      ];
    }
    case "map": {
      const map = rules.case === "map" ? rules.value : undefined;
      const values = each.mapKind === "scalar" ? sized(each.scalar, map?.values?.type) : true;
      return [
        ...(map !== undefined && map.maxPairs > 0n ? [] : [`${name}: no max_pairs`]),
        ...(sized(each.mapKey, map?.keys?.type) ? [] : [`${name}: keys without a bound`]),
        ...(values ? [] : [`${name}: values without a bound`]),
      ];
    }
    case "scalar":
      return sized(each.scalar, rules) ? [] : [`${name}: no bound on its length`];
    default:
      // An enum is a number, and a message is looked at by itself.
      return [];
  }
}

/** Numbers and truth values have the bounds of their types; texts and bytes need one of ours. */
function sized(scalar: ScalarType, rules: Rules | undefined): boolean {
  if (scalar === ScalarType.STRING) {
    return (
      rules?.case === "string" &&
      (rules.value.maxLen > 0n || rules.value.maxBytes > 0n || rules.value.len > 0n)
    );
  }
  if (scalar === ScalarType.BYTES) {
    return rules?.case === "bytes" && (rules.value.maxLen > 0n || rules.value.len > 0n);
  }
  return true;
}

describe("bounds of the schema", () => {
  it("V01 every field that comes in from outside has a bound", async () => {
    const messages = await inbound();
    assert.ok(messages.size > 50);
    assert.deepEqual(
      [...messages].flatMap(({ fields }) => fields.flatMap(unbounded)),
      [],
    );
  });

  it("V01 the walk notices a field without a bound", () => {
    const { output } = HostService.method.getHost;
    const [host] = output.fields;
    assert.ok(host?.message);
    assert.ok(
      host.message.fields.flatMap(unbounded).includes("fairlead.host.v1.Host.name: no bound on its length"),
    );
  });
});
