import type { IncomingMessage } from "node:http";
import { FleetError } from "../../domain/errors.ts";
import { failureFromBrokenCall } from "./docker-errors.ts";
import type { EnginePathFacts } from "./engine-files.ts";
import { momentFromRfc3339 } from "./rfc3339.ts";

/** A tar archive ends with this many zeros at least. */
const endBytes = 1_024;

/** What Docker says of a path in the head of its answer. Throws `ENGINE_FAILED` when it says nothing. */
export function factsFromHead({ headers }: Pick<IncomingMessage, "headers">): EnginePathFacts {
  const text = headers["x-docker-container-path-stat"];
  try {
    const facts = JSON.parse(Buffer.from(String(text), "base64").toString("utf8")) as DockerPathFacts;
    const modifiedTime = momentFromRfc3339(facts.mtime);
    return {
      name: facts.name ?? "",
      size: BigInt(Math.max(0, facts.size ?? 0)),
      mode: posixMode(facts.mode ?? 0),
      linkTarget: facts.linkTarget ?? "",
      ...(modifiedTime && { modifiedTime }),
    };
  } catch (error) {
    throw new FleetError("ENGINE_FAILED", "the engine does not say what is at the path", { cause: error });
  }
}

/** The archive in an answer, to its true end. */
export async function* archiveOf(
  response: IncomingMessage,
  { address, signal }: { readonly address: string; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  let zeros = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      zeros = zerosAtEnd(chunk, zeros);
      yield chunk;
    }
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof FleetError ? error : failureFromBrokenCall(error, false, address);
  } finally {
    response.destroy();
  }
  // Docker ends an answer well when it fails in the middle of it.
  if (zeros < endBytes) throw new FleetError("ENGINE_FAILED", "the engine broke the archive off");
}

function zerosAtEnd(chunk: Buffer, before: number): number {
  let zeros = 0;
  while (zeros < endBytes && zeros < chunk.length && chunk[chunk.length - 1 - zeros] === 0) zeros += 1;
  return zeros === chunk.length ? before + zeros : zeros;
}

interface DockerPathFacts {
  readonly name?: string;
  readonly size?: number;
  readonly mode?: number;
  readonly mtime?: string;
  readonly linkTarget?: string;
}

// https://pkg.go.dev/io/fs#FileMode; a device that is no character device is a block device.
const goBits: readonly (readonly [bit: number, posix: number])[] = [
  [31, 0o040_000],
  [27, 0o120_000],
  [25, 0o010_000],
  [24, 0o140_000],
  [21, 0o020_000],
  [26, 0o060_000],
];
const regularFile = 0o100_000;

/** Go's idea of kind and permissions as POSIX has it. */
export function posixMode(mode: number): number {
  const has = (bit: number) => Math.floor(mode / 2 ** bit) % 2 === 1;
  const kind = goBits.find(([bit]) => has(bit))?.[1] ?? regularFile;
  const special = (has(23) ? 0o4000 : 0) + (has(22) ? 0o2000 : 0) + (has(20) ? 0o1000 : 0);
  return kind + special + (mode % 0o1000);
}
