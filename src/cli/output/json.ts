import { toJson } from "@bufbuild/protobuf";
import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { escapeJson } from "./escape.ts";

/**
 * A message as the API's own JSON has it, with fields that are empty left in, so that a program finds each of them.
 */
export function messageToJson<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): JsonValue {
  return toJson(schema, message, { alwaysEmitImplicit: true });
}

/** One document, indented for people. Ends with a line break. */
export function formatJson(value: unknown, indent = 2): string {
  return `${escapeJson(JSON.stringify(value, undefined, indent))}\n`;
}

/** One document on one line, for streams. Ends with a line break. */
export function formatJsonLine(value: unknown): string {
  return `${escapeJson(JSON.stringify(value))}\n`;
}

/**
 * Reads JSON of an engine without losing digits: numbers that JavaScript cannot hold are written out again as they
 * came. Throws a `SyntaxError` when it is none.
 */
export function parseEngineJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && Number.isInteger(value)
      ? rawJson(context?.source ?? String(value))
      : value,
  );
}

function rawJson(source: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(source);
}
