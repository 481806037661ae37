import { failureFromAnswer } from "./docker-errors.ts";

/** A member of a tar archive. */
export interface TarMember {
  readonly name: string;
  readonly kind: "file" | "folder" | "link";
  /** Permissions alone. */
  readonly mode: number;
  /** Whole seconds since the epoch. */
  readonly modifiedSeconds: number;
  readonly uid: number;
  readonly gid: number;
  readonly data: Uint8Array;
  /** Of a link. */
  readonly target: string;
}

const blockBytes = 512;
const types = { file: "0", folder: "5", link: "2" } as const;
const longestPlainName = 100;

/** Writes one member of an archive. What is longer than the format of 1988 knows goes into a header of its own. */
export function tarBlocks(member: TarMember): Buffer {
  const { name, target } = member;
  const long = [
    ...(Buffer.byteLength(name) > longestPlainName ? [paxRecord("path", name)] : []),
    ...(Buffer.byteLength(target) > longestPlainName ? [paxRecord("linkpath", target)] : []),
  ].join("");
  const extra = { ...member, name: "PaxHeader", target: "", data: Buffer.from(long) };
  return Buffer.concat([
    ...(long === "" ? [] : [header(extra, "x"), padded(extra.data)]),
    header(member, types[member.kind]),
    padded(member.data),
  ]);
}

/** The end of an archive. */
export const tarEnd: Uint8Array = new Uint8Array(2 * blockBytes);

/** Reads an archive. Throws what Docker says to one that is none, or that ends in the middle of a member. */
export function tarMembers(archive: Buffer): TarMember[] {
  const members: TarMember[] = [];
  let long: Record<string, string> = {};
  for (let at = 0; at + blockBytes <= archive.length && archive[at] !== 0; ) {
    const block = archive.subarray(at, at + blockBytes);
    const size = octal(block, 124, 12);
    const data = archive.subarray(at + blockBytes, at + blockBytes + size);
    if (checksum(block) !== octal(block, 148, 8)) throw broken("invalid tar header");
    if (data.length < size) throw broken("unexpected EOF");
    at += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
    const type = String.fromCharCode(block[156] ?? 0);
    if (type === "x") long = paxRecords(data);
    else if (type === "L") long = { ...long, path: text(data, 0, size) };
    else if (type === "K") long = { ...long, linkpath: text(data, 0, size) };
    else if (type !== "g") {
      members.push(memberFrom(block, data, type, long));
      long = {};
    }
  }
  return members;
}

function memberFrom(
  block: Buffer,
  data: Uint8Array,
  type: string,
  long: Readonly<Record<string, string>>,
): TarMember {
  const prefix = text(block, 257, 5) === "ustar" ? text(block, 345, 155) : "";
  const short = text(block, 0, 100);
  const kind = type === "5" ? "folder" : type === "2" ? "link" : "file";
  return {
    name: long["path"] ?? (prefix === "" ? short : `${prefix}/${short}`),
    kind,
    mode: octal(block, 100, 8) % 0o10000,
    modifiedSeconds: octal(block, 136, 12),
    uid: octal(block, 108, 8),
    gid: octal(block, 116, 8),
    // The archive's own memory is not kept for a part of it.
    data: kind === "file" ? Uint8Array.from(data) : new Uint8Array(),
    target: long["linkpath"] ?? text(block, 157, 100),
  };
}

function header(member: Omit<TarMember, "kind">, type: string): Buffer {
  const block = Buffer.alloc(blockBytes);
  block.write(member.name, 0, 100);
  writeOctal(block, member.mode, 100, 8);
  writeOctal(block, member.uid, 108, 8);
  writeOctal(block, member.gid, 116, 8);
  writeOctal(block, member.data.length, 124, 12);
  writeOctal(block, member.modifiedSeconds, 136, 12);
  block.write(type, 156);
  block.write(member.target, 157, 100);
  block.write("ustar\u000000", 257);
  writeOctal(block, checksum(block), 148, 8);
  return block;
}

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data, Buffer.alloc((blockBytes - (data.length % blockBytes)) % blockBytes)]);
}

// Counted as if the field of the sum itself were spaces.
function checksum(block: Buffer): number {
  return block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

function text(bytes: Buffer, from: number, length: number): string {
  const field = bytes.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? field.length : end);
}

function octal(block: Buffer, from: number, length: number): number {
  return Number.parseInt(text(block, from, length).trim() || "0", 8);
}

function writeOctal(block: Buffer, value: number, from: number, length: number): void {
  block.write(value.toString(8).padStart(length - 1, "0"), from);
}

// Its length counts itself.
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (length !== rest + `${length}`.length) length = rest + `${length}`.length;
  return `${length} ${key}=${value}\n`;
}

function paxRecords(data: Buffer): Record<string, string> {
  const lines = data.toString("utf8").split("\n").filter(Boolean);
  return Object.fromEntries(
    lines.map((line) => {
      const record = line.slice(line.indexOf(" ") + 1);
      const at = record.indexOf("=");
      return [record.slice(0, at), record.slice(at + 1)];
    }),
  );
}

function broken(words: string): Error {
  return failureFromAnswer(500, `Error processing tar file(exit status 1): archive/tar: ${words}`);
}
