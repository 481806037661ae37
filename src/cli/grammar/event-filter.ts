import { InvalidArgumentError } from "commander";
import { EventType, EventTypeSchema } from "../../gen/fairlead/event/v1/event_pb.js";
import { parseKeyValue } from "./key-value.ts";

/** Which events to show, as `EventFilter` has it. */
export interface RequestedEventFilter {
  readonly types: EventType[];
  readonly hosts: string[];
  readonly container: string;
  readonly commandId: string;
}

const words = new Map(
  EventTypeSchema.values
    .filter(({ number }) => number !== EventType.UNSPECIFIED)
    .map(({ localName, number }) => [localName.toLowerCase(), number as EventType]),
);

/** The word for a type of event, for example "container_started"; "unknown" for one of a newer control plane. */
export function eventTypeWord(type: EventType): string {
  return EventTypeSchema.value[type]?.localName.toLowerCase() ?? "unknown";
}

/** One `key=value` of an event filter. Throws `InvalidArgumentError` for what is none. */
export function parseEventFilter(text: string): readonly [key: string, value: string] {
  const [key, value = ""] = parseKeyValue(text);
  if (!/^(type|host|container|command)$/.test(key) || value === "") {
    throw new InvalidArgumentError("Write type=, host=, container= or command= and a value.");
  }
  if (key === "type") {
    typesOf(value);
  }
  return [key, value];
}

/** The filter that several of them make together. Throws `InvalidArgumentError`. */
export function eventFilterFrom(
  pairs: readonly (readonly [key: string, value: string])[],
): RequestedEventFilter {
  const of = (name: string) => pairs.filter(([key]) => key === name).map(([, value]) => value);
  const [container = "", secondContainer] = of("container");
  const [commandId = "", secondCommand] = of("command");
  if (secondContainer !== undefined || secondCommand !== undefined) {
    throw new InvalidArgumentError("--filter container= and command= can each be given once.");
  }
  return { types: [...new Set(of("type").flatMap(typesOf))], hosts: of("host"), container, commandId };
}

// "container" means all that begins with it, as docker's type=container does.
function typesOf(text: string): EventType[] {
  const word = text
    .toLowerCase()
    .replaceAll("-", "_")
    .replace(/^event_type_/, "");
  const exact = words.get(word);
  const family = [...words].filter(([name]) => name.startsWith(`${word}_`)).map(([, type]) => type);
  const types = exact === undefined ? family : [exact];
  if (types.length === 0) {
    throw new InvalidArgumentError(`There is no such type; there are ${[...words.keys()].join(", ")}.`);
  }
  return types;
}
