import { FleetError } from "../../domain/errors.ts";
import type { ResultPart } from "../../gen/fairlead/agent/v1/command_pb.js";

/** The largest result in bytes, docs/protocol.md "Frames". */
export const maxResultBytes = 4 * 1024 * 1024;

interface Assembly {
  readonly chunks: Uint8Array[];
  bytes: number;
}

/** How much may wait for its last parts. */
export interface AssemblyLimits {
  /** Results at once. */
  readonly maxOpen: number;
  /** Bytes in all of them. */
  readonly maxBytes: number;
}

/** Puts results together that came in parts. Bounded: so many results at once, so many bytes in all, each of at most 4 MiB. */
export class ResultAssembly {
  readonly #open = new Map<string, Assembly>();
  readonly #limits: AssemblyLimits;
  #bytes = 0;

  constructor(limits: AssemblyLimits) {
    this.#limits = limits;
  }

  /** How many results have begun and not ended. */
  get size(): number {
    return this.#open.size;
  }

  /** How many bytes of them are here. */
  get bytes(): number {
    return this.#bytes;
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
    this.#bytes += part.data.byteLength;
    if (assembly.bytes > maxResultBytes) {
      throw this.#give(part, `it is larger than ${maxResultBytes} bytes`);
    }
    if (this.#bytes > this.#limits.maxBytes) {
      throw this.#give(
        part,
        `with others that have not come to their end it is larger than ${this.#limits.maxBytes} bytes`,
      );
    }
    if (!part.last) return undefined;
    this.#forget(part.commandId);
    return Buffer.concat(assembly.chunks, assembly.bytes);
  }

  #begin(part: ResultPart): Assembly {
    this.#forget(part.commandId);
    if (this.#open.size >= this.#limits.maxOpen) {
      throw this.#give(part, `${this.#limits.maxOpen} others have not come to their end`);
    }
    const assembly: Assembly = { chunks: [], bytes: 0 };
    this.#open.set(part.commandId, assembly);
    return assembly;
  }

  #forget(commandId: string): void {
    this.#bytes -= this.#open.get(commandId)?.bytes ?? 0;
    this.#open.delete(commandId);
  }

  #give(part: ResultPart, why: string): FleetError {
    this.#forget(part.commandId);
    return new FleetError("INVALID_RESULT", `the agent's result cannot be put together: ${why}`);
  }
}
