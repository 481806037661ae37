import { InvalidArgumentError } from "commander";
import { ContainerState } from "../../gen/fairlead/container/v1/container_pb.js";
import { parseKeyValue } from "./key-value.ts";

/** Which containers to list, as `ListContainersRequest` has it. */
export interface ContainerFilter {
  readonly hosts: string[];
  readonly states: ContainerState[];
  readonly labels: string[];
  readonly nameContains: string;
  readonly image: string;
}

/** What docker calls running, and lists without --all. */
export const runningStates: readonly ContainerState[] = [
  ContainerState.RUNNING,
  ContainerState.PAUSED,
  ContainerState.RESTARTING,
];

const states = new Map([
  ["created", ContainerState.CREATED],
  ["running", ContainerState.RUNNING],
  ["paused", ContainerState.PAUSED],
  ["restarting", ContainerState.RESTARTING],
  ["removing", ContainerState.REMOVING],
  ["exited", ContainerState.EXITED],
  ["dead", ContainerState.DEAD],
]);
const fields: ReadonlyMap<string, keyof ContainerFilter> = new Map([
  ["host", "hosts"],
  ["state", "states"],
  ["status", "states"],
  ["label", "labels"],
  ["name", "nameContains"],
  ["image", "image"],
  ["ancestor", "image"],
]);

/** The filter that several `--filter key=value` make together. Throws `InvalidArgumentError`. */
export function containerFilterFrom(
  pairs: readonly (readonly [string, string | undefined])[],
): ContainerFilter {
  const of = (field: keyof ContainerFilter) =>
    pairs.filter(([key]) => fields.get(key) === field).map(([, value]) => value ?? "");
  return {
    hosts: of("hosts"),
    states: of("states").map(parseContainerState),
    labels: of("labels"),
    nameContains: atMostOne("name", of("nameContains")),
    image: atMostOne("image", of("image")),
  };
}

/** One `key=value` of it. Throws `InvalidArgumentError` for a key that is none. */
export function parseContainerFilter(text: string): readonly [key: string, value: string] {
  const [key, value] = parseKeyValue(text);
  if (!fields.has(key) || value === undefined || value === "") {
    throw new InvalidArgumentError("Write host=, state=, name=, image= or label= and a value.");
  }
  if (fields.get(key) === "states") {
    parseContainerState(value);
  }
  return [key, value];
}

/** The state that a word means. Throws `InvalidArgumentError`. */
export function parseContainerState(text: string): ContainerState {
  const state = states.get(text);
  if (state === undefined) {
    throw new InvalidArgumentError(`A state is one of ${[...states.keys()].join(", ")}.`);
  }
  return state;
}

function atMostOne(key: string, values: readonly string[]): string {
  const [value = "", second] = values;
  if (second !== undefined) {
    throw new InvalidArgumentError(`--filter ${key}= can be given once.`);
  }
  return value;
}
