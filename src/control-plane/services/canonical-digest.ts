import { createHash } from "node:crypto";
import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";

/**
 * SHA-256 over what a message says, whatever its bytes were: maps are taken in the order of their keys, because clients
 * may write them in another order each time, and fields that this version does not know are left out.
 */
export function messageDigest<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Buffer {
  const text = JSON.stringify([schema.typeName, inOrder(toJson(schema, message))]);
  return createHash("sha256").update(text).digest();
}

function inOrder(value: JsonValue): JsonValue {
  if (Array.isArray(value)) {
    return value.map(inOrder);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  // As pairs and not as an object, which would sort keys that look like numbers in its own way.
  return Object.keys(value)
    .toSorted()
    .map((key) => [key, inOrder(value[key] ?? null)]);
}
