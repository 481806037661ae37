import { matchesWildcard } from "./wildcard.ts";

/** Whether a pattern allows an image. A name without tag and digest means the tag "latest", on both sides, as it does to the engine. */
export function imageMatches(pattern: string, image: string): boolean {
  return matchesWildcard(pattern.endsWith("*") ? pattern : withTag(pattern), withTag(image));
}

function withTag(image: string): string {
  const name = image.slice(image.lastIndexOf("/") + 1);
  return /[:@]/.test(name) ? image : `${image}:latest`;
}
