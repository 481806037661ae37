import type { Container, ContainerState } from "../../gen/fairlead/container/v1/container_pb.js";

/** Which containers somebody wants. What is empty does not filter; several filters must all hold. */
export interface ContainerFilter {
  /** Hosts, by id or name, any of them. */
  readonly hosts: readonly string[];
  /** Any of them. */
  readonly states: readonly ContainerState[];
  /** A part of the name. */
  readonly nameContains: string;
  /** The image as the container names it, with or without tag and digest. */
  readonly image: string;
  /** Each "key" or "key=value", all of them. */
  readonly labels: readonly string[];
}

/** Whether a container passes a filter, whatever its host. */
export type ContainerTest = (container: Container) => boolean;

/** The tests of a filter, made once for all containers. */
export function containerTest(filter: ContainerFilter): ContainerTest {
  const tests: ContainerTest[] = filter.labels.map(labelTest);
  const { nameContains, image } = filter;
  if (filter.states.length > 0) {
    const states = new Set(filter.states);
    tests.push(({ state }) => states.has(state));
  }
  if (nameContains !== "") {
    tests.push(({ name }) => name.includes(nameContains));
  }
  if (image !== "") {
    tests.push((container) => imageNames(container.image).includes(image));
  }
  return (container) => tests.every((test) => test(container));
}

/** Whether something has a label, given as "key" or "key=value". */
export function labelTest(label: string): (labelled: Pick<Container, "labels">) => boolean {
  const equals = label.indexOf("=");
  if (equals === -1) {
    return ({ labels }) => Object.hasOwn(labels, label);
  }
  const key = label.slice(0, equals);
  const value = label.slice(equals + 1);
  return ({ labels }) => Object.hasOwn(labels, key) && labels[key] === value;
}

// "registry:5000/app:1@sha256:…" is also known without its digest, and without digest and tag. A colon before the last
// slash belongs to the registry's port.
function imageNames(image: string): string[] {
  const tagged = image.split("@", 1)[0] ?? image;
  const colon = tagged.lastIndexOf(":");
  const untagged = colon > tagged.lastIndexOf("/") ? tagged.slice(0, colon) : tagged;
  return [image, tagged, untagged];
}
