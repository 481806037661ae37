import { FleetError } from "../../domain/errors.ts";
import type { ResultPart } from "../../gen/fairlead/agent/v1/command_pb.js";

/** The largest result in bytes, docs/protocol.md "Frames". */
export const maxResultBytes = 4 * 1024 * 1024;

interface Assembly {
  readonly chunks: Uint8Array[];
  bytes: number;
}

/** Puts results together that came in parts. Bounded: at most `maxOpen` results at once, each of at most 4 MiB. */
export class ResultAssembly {
  readonly #open = new Map<string, Assembly>();
  readonly #maxOpen: number;

  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen;
  }

  /** How many results have begun and not ended. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Adds a part, or learns of one that is of no use because of its `fault`. Returns the serialised CommandResult with the last
   * one, else undefined. Throws INVALID_RESULT for a fault, a gap, too much, and too many at once; what was there of that
   * result is then forgotten.
   */
  add(part: ResultPart, fault?: string): Uint8Array | undefined {
    if (fault !== undefined) throw this.#give(part, fault);
    const assembly = part.index === 0 ? this.#begin(part) : this.#open.get(part.commandId);
    if (assembly === undefined || assembly.chunks.length !== part.index) {
      throw this.#give(part, `part ${part.index} came out of order`);
    }
    assembly.chunks.push(part.data);
    assembly.bytes += part.data.byteLength;
    if (assembly.bytes > maxResultBytes) {
      throw this.#give(part, `it is larger than ${maxResultBytes} bytes`);
    }
    if (!part.last) return undefined;
    this.#open.delete(part.commandId);
    return Buffer.concat(assembly.chunks, assembly.bytes);
  }

  #begin(part: ResultPart): Assembly {
    this.#open.delete(part.commandId);
    if (this.#open.size >= this.#maxOpen) {
      throw this.#give(part, `${this.#maxOpen} others have not come to their end`);
    }
    const assembly: Assembly = { chunks: [], bytes: 0 };
    this.#open.set(part.commandId, assembly);
    return assembly;
  }

  #give(part: ResultPart, why: string): FleetError {
    this.#open.delete(part.commandId);
    return new FleetError("INVALID_RESULT", `the agent's result cannot be put together: ${why}`);
  }
}
