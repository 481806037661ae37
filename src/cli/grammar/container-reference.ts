import { InvalidArgumentError } from "commander";

/** Which container somebody means. An empty host is any host of the fleet. */
export interface ContainerReference {
  readonly host: string;
  readonly container: string;
}

/**
 * A container as people write it: `NAME`, an id or the beginning of one, or `HOST/NAME`; `host` is what --host says.
 * Docker's own `/NAME` is NAME. Throws `InvalidArgumentError` when it is empty or the two hosts differ.
 */
export function parseContainer(text: string, host = ""): ContainerReference {
  const at = text.indexOf("/");
  const written = at > 0 ? text.slice(0, at) : "";
  const container = text.slice(at + 1);
  if (container === "") {
    throw new InvalidArgumentError(`"${text}" names no container: write NAME, ID or HOST/NAME.`);
  }
  if (written !== "" && host !== "" && written !== host) {
    throw new InvalidArgumentError(`"${text}" names another host than --host ${host}.`);
  }
  return { host: written || host, container };
}
