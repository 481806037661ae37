import { tarBlocks, tarEnd, type TarMember, tarMembers } from "../../src/agent/engine/simulated-tar.ts";

/** A member of an archive of a test: a file of root, unless told otherwise. */
export function member(
  name: string,
  data: string | Uint8Array = "",
  more: Partial<TarMember> = {},
): TarMember {
  return {
    name,
    kind: "file",
    mode: 0o644,
    modifiedSeconds: 1_700_000_000,
    uid: 0,
    gid: 0,
    data: Buffer.from(data),
    target: "",
    ...more,
  };
}

/** A whole archive. */
export function archive(...members: readonly TarMember[]): Buffer {
  return Buffer.concat([...members.map(tarBlocks), tarEnd]);
}

/** In pieces, as they come over a network. */
export async function* inPieces(bytes: Uint8Array, pieceBytes = 32 * 1024): AsyncGenerator<Uint8Array, void> {
  for (let from = 0; from < bytes.length; from += pieceBytes) yield bytes.subarray(from, from + pieceBytes);
}

/** What is in an archive, by name; of folders and links nothing. */
export function contentsOf(bytes: Uint8Array): Record<string, string> {
  const members = tarMembers(Buffer.from(bytes));
  return Object.fromEntries(members.map(({ name, data }) => [name, Buffer.from(data).toString("utf8")]));
}
