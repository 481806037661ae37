import type { WireType } from "@bufbuild/protobuf/wire";

const usualSlabBytes = 16 * 1024;
const longText = 1024;
const noSlab = Buffer.alloc(0);

/**
 * Writes protobuf's wire format, as the library's `BinaryWriter` does, but one message behind the other into one piece of memory:
 * two buffers for each message, outside of V8's heap, cost ten times what it takes to fill them. Nothing may be awaited between
 * `begin` and `finish`; so one writer can be there for many.
 */
export class WireWriter {
  readonly #slabBytes: number;
  #slab = noSlab;
  /** Where the message begins, and where its next byte goes. */
  #start = 0;
  #end = 0;

  /** `slabBytes`: of how much memory at a time messages are cut. To be several times as large as most of them. */
  constructor(slabBytes = usualSlabBytes) {
    this.#slabBytes = slabBytes;
  }

  /** Begins a message. One that was begun and could not be finished is forgotten. */
  begin(): this {
    this.#end = this.#start;
    return this;
  }

  /** What the value that comes next is. */
  tag(fieldNumber: number, type: WireType): this {
    return this.uint32((fieldNumber << 3) | type);
  }

  /** A whole number from 0 to 2^32 - 1. */
  uint32(value: number): this {
    this.#reserve(5);
    this.#end = putVarint(this.#slab, this.#end, value);
    return this;
  }

  /** A whole number of up to 64 bits; a negative one as its two's complement. */
  int64(value: bigint): this {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, value);
    for (; rest > 0x7fn; rest >>= 7n) this.#slab[this.#end++] = Number(rest & 0x7fn) | 0x80;
    this.#slab[this.#end++] = Number(rest);
    return this;
  }

  /** A floating point number of 64 bits. */
  double(value: number): this {
    this.#reserve(8);
    this.#end = this.#slab.writeDoubleLE(value, this.#end);
    return this;
  }

  /** A text with its length before it. Half a surrogate pair becomes U+FFFD. */
  string(value: string): this {
    this.#reserve(5 + (value.length < longText ? 3 * value.length : Buffer.byteLength(value)));
    // As if it were ASCII, which most texts are.
    const begin = this.#end + varintBytes(value.length);
    const length = this.#slab.write(value, begin);
    return this.#prefix(begin, length);
  }

  /** Bytes with their number before them. */
  bytes(value: Uint8Array): this {
    return this.uint32(value.byteLength).raw(value);
  }

  /** Bytes as they are. */
  raw(value: Uint8Array): this {
    this.#reserve(value.byteLength);
    this.#slab.set(value, this.#end);
    this.#end += value.byteLength;
    return this;
  }

  /** What comes from here to `join`, which is to be given the same mark, has its length before it. */
  fork(): number {
    this.#reserve(1);
    const mark = this.#end - this.#start;
    this.#end += 1;
    return mark;
  }

  /** Ends what began at the mark. */
  join(mark: number): this {
    this.#reserve(5);
    const position = this.#start + mark;
    const length = this.#end - position - 1;
    this.#end = position;
    return this.#prefix(position + 1, length);
  }

  /** The message that was begun. It shares its memory with others, which stays as long as one of them does. */
  finish(): Uint8Array {
    const message = this.#slab.subarray(this.#start, this.#end);
    this.#start = this.#end;
    if (this.#slab.byteLength <= this.#slabBytes) return message;
    this.#slab = noSlab;
    this.#start = 0;
    this.#end = 0;
    return Uint8Array.from(message);
  }

  /** Puts the length before what lies at `begin`, right behind the end or with less room between than the length takes. */
  #prefix(begin: number, length: number): this {
    const end = this.#end + varintBytes(length);
    if (end !== begin) this.#slab.copyWithin(end, begin, begin + length);
    putVarint(this.#slab, this.#end, length);
    this.#end = end + length;
    return this;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes > this.#slab.byteLength) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    const written = this.#slab.subarray(this.#start, this.#end);
    this.#slab = Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, 2 * (written.byteLength + bytes)));
    this.#slab.set(written);
    this.#start = 0;
    this.#end = written.byteLength;
  }
}

function putVarint(into: Uint8Array, position: number, value: number): number {
  let next = position;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) into[next++] = (rest & 0x7f) | 0x80;
  into[next++] = rest;
  return next;
}

function varintBytes(value: number): number {
  if (value < 2 ** 7) return 1;
  if (value < 2 ** 14) return 2;
  return value < 2 ** 21 ? 3 : value < 2 ** 28 ? 4 : 5;
}
