import { InvalidArgumentError } from "commander";
import { type ContainerReference, parseContainer } from "./container-reference.ts";

/** From where or to where something is copied. */
export type CopyPlace =
  | { readonly kind: "container"; readonly container: ContainerReference; readonly path: string }
  | { readonly kind: "local"; readonly path: string }
  /** Standard input or output. */
  | { readonly kind: "stream" };

/**
 * A place as `docker cp` has it: `[HOST/]NAME:PATH` in a container, otherwise a path of this machine, `-` for standard input or output. A local path with a
 * colon begins with "/" or "./". Throws `InvalidArgumentError`.
 */
export function parseCopyPlace(text: string, host: string | undefined): CopyPlace {
  if (text === "-") return { kind: "stream" };
  if (text === "") throw new InvalidArgumentError("A path is empty.");
  const colon = text.indexOf(":");
  if (colon < 0 || /^[./]/.test(text)) return { kind: "local", path: text };
  const path = text.slice(colon + 1);
  if (path === "") throw new InvalidArgumentError(`"${text}" names no path: write NAME:PATH.`);
  return { kind: "container", container: parseContainer(text.slice(0, colon), host), path };
}
