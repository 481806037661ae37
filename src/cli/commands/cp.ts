import { join } from "node:path/posix";
import { type Command, InvalidArgumentError } from "commander";
import { FleetError } from "../../domain/errors.ts";
import type { PathFacts } from "../../gen/fairlead/container/v1/path_facts_pb.js";
import { findLocalSource, packLocal } from "../files/pack-local.ts";
import { type CopyTarget, placementOf, splitPath } from "../files/placement.ts";
import { findLocalTarget, unpackLocal } from "../files/unpack-local.ts";
import { type CopyPlace, parseCopyPlace } from "../grammar/copy-place.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { CopyProgress } from "../output/copy-progress.ts";
import { escapeText } from "../output/escape.ts";
import { decimalSize } from "../output/sizes.ts";
import { writeWhenRoom } from "../output/write-when-room.ts";

/** What `cp` can be told. */
interface CpOptions {
  readonly archive?: boolean;
  readonly followLink?: boolean;
  readonly quiet?: boolean;
  readonly host?: string;
}

type InContainer = Extract<CopyPlace, { kind: "container" }>;
type Elsewhere = Exclude<CopyPlace, InContainer>;

const kindBits = 0o170_000;
const folderKind = 0o040_000;
const linkKind = 0o120_000;
const messageBytes = 32 * 1024;

/** `fairlead cp`: files out of a container, or into one. */
export function addCpCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("cp")
    .summary("copy files out of a container, or into one")
    .description(
      "Copies files or folders between a container and this machine, by the rules of `docker cp`. With - a tar archive comes from standard input, or goes to standard output.",
    )
    .argument("<source>", "[HOST/]NAME:PATH, PATH or -")
    .argument("<target>", "PATH or -, or [HOST/]NAME:PATH")
    .option("-a, --archive", "keep the owners, as docker does")
    .option("-L, --follow-link", "copy what the source's link points to")
    .option("-q, --quiet", "show no progress")
    .option("--host <host>", "on this host, by name or id")
    .addHelpText("after", examples);
  addClientOptions(command).action(clientAction<CpOptions>(line, copy));
}

async function copy(
  invocation: Invocation,
  options: CpOptions,
  [from = "", to = ""]: readonly string[],
): Promise<void> {
  const source = parseCopyPlace(from, options.host);
  const target = parseCopyPlace(to, options.host);
  if (source.kind === "container" && target.kind !== "container") {
    await copyOut(invocation, options, source, target);
  } else if (source.kind !== "container" && target.kind === "container") {
    await copyIn(invocation, options, source, target);
  } else {
    throw new InvalidArgumentError("Exactly one of the two must be in a container: write NAME:PATH.");
  }
}

async function copyOut(
  invocation: Invocation,
  options: CpOptions,
  { container, path: asked }: InContainer,
  target: Elsewhere,
): Promise<void> {
  const { client, call, environment } = invocation;
  if (target.kind === "stream" && environment.isTTY) {
    throw new InvalidArgumentError(
      "An archive is not for a terminal: write it to a file, or give it to a program.",
    );
  }
  const path = options.followLink === true ? await followed(invocation, container, asked) : asked;
  const messages = client.files.copyFrom({ ...container, path }, call)[Symbol.asyncIterator]();
  const facts = await firstFacts(messages);
  const isFolder = isA(folderKind, facts);
  const total = isFolder ? undefined : Number(facts.size);
  const progress = new CopyProgress(environment, { label: asked, total, quiet: options.quiet === true });
  try {
    const chunks = progress.count(archiveFrom(messages));
    if (target.kind === "stream") {
      for await (const chunk of chunks) await writeWhenRoom(environment.stdout, chunk, environment.signal);
    } else {
      const source = { base: splitPath(path).base, name: splitPath(asked).base, isFolder };
      const placement = placementOf(source, await findLocalTarget(target.path));
      await unpackLocal(chunks, placement, {
        keepOwners: options.archive === true,
        signal: environment.signal,
      });
    }
  } finally {
    progress.stop();
    await messages.return?.();
  }
  tell(invocation, options, progress.bytes, target.kind === "stream" ? "standard output" : target.path);
}

async function copyIn(
  invocation: Invocation,
  options: CpOptions,
  source: Elsewhere,
  { container, path: asked }: InContainer,
): Promise<void> {
  const { client, call, environment } = invocation;
  const target = await containerTarget(invocation, container, asked);
  const { chunks, folder, total } = await archiveFor(invocation, options, source, target);
  const label = source.kind === "stream" ? "standard input" : source.path;
  const progress = new CopyProgress(environment, { label, total, quiet: options.quiet === true });
  try {
    const start = { ...container, path: folder, copyOwners: options.archive === true };
    await client.files.copyTo(upload(start, progress.count(chunks)), call);
  } finally {
    progress.stop();
  }
  tell(invocation, options, progress.bytes, `${container.container}:${asked}`);
}

async function archiveFor(
  { environment }: Invocation,
  { followLink = false }: CpOptions,
  source: Elsewhere,
  target: CopyTarget,
) {
  if (source.kind === "stream") {
    if (!target.isFolder) {
      throw new FleetError(
        "INVALID_ARGUMENT",
        `an archive is unpacked in a folder, and ${target.path} is none`,
      );
    }
    if (environment.stdin === undefined) throw new InvalidArgumentError("There is no standard input.");
    const chunks = environment.stdin.read(environment.signal);
    return { chunks, folder: target.path, total: undefined };
  }
  const found = await findLocalSource(source.path, followLink);
  const placement = placementOf(found, target);
  return { chunks: packLocal(found, placement), folder: placement.folder, total: found.size };
}

type Reference = InContainer["container"];

async function containerTarget(
  invocation: Invocation,
  container: Reference,
  asked: string,
): Promise<CopyTarget> {
  const facts = await factsOf(invocation, container, asked);
  if (facts === undefined) return { path: asked, exists: false, isFolder: false };
  if (!isA(linkKind, facts)) return { path: asked, exists: true, isFolder: isA(folderKind, facts) };
  const path = linkedPath(asked, facts);
  const linked = await factsOf(invocation, container, path);
  return { path, exists: linked !== undefined, isFolder: linked !== undefined && isA(folderKind, linked) };
}

async function followed(invocation: Invocation, container: Reference, path: string): Promise<string> {
  const facts = await factsOf(invocation, container, path);
  return facts !== undefined && isA(linkKind, facts) ? linkedPath(path, facts) : path;
}

/** Undefined: it is not there. */
async function factsOf(
  { client, call }: Invocation,
  container: Reference,
  path: string,
): Promise<PathFacts | undefined> {
  try {
    return (await client.files.statPath({ ...container, path }, call)).facts;
  } catch (error) {
    if (error instanceof FleetError && error.reason === "PATH_NOT_FOUND") return undefined;
    throw error;
  }
}

function linkedPath(path: string, { linkTarget }: PathFacts): string {
  return linkTarget.startsWith("/") ? linkTarget : join(splitPath(path).folder, linkTarget);
}

function isA(kind: number, { mode }: PathFacts): boolean {
  return (mode & kindBits) === kind;
}

type Messages = AsyncIterator<{
  readonly message:
    | { readonly case: "facts"; readonly value: PathFacts }
    | { readonly case: "archive"; readonly value: Uint8Array }
    | { readonly case: undefined };
}>;

async function firstFacts(messages: Messages): Promise<PathFacts> {
  const first = await messages.next();
  if (first.done !== true && first.value.message.case === "facts") return first.value.message.value;
  throw new FleetError("INVALID_RESULT", "the host did not say what is at the path");
}

async function* archiveFrom(messages: Messages): AsyncGenerator<Uint8Array, void> {
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    const { message } = next.value;
    if (message.case === "archive") yield message.value;
  }
}

async function* upload<Start>(value: Start, chunks: AsyncIterable<Uint8Array>) {
  yield { message: { case: "start", value } } as const;
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.byteLength; from += messageBytes) {
      yield { message: { case: "archive", value: chunk.subarray(from, from + messageBytes) } } as const;
    }
  }
}

function tell(invocation: Invocation, { quiet }: CpOptions, bytes: number, where: string): void {
  if (quiet !== true) invocation.hint(`Copied ${decimalSize(bytes)} to ${escapeText(where)}.`);
}

const examples = `
Examples:
  fairlead cp web:/etc/nginx .              a folder, to here
  fairlead cp ./site/. host-1/web:/srv/www  what is in a folder, into another
  fairlead cp web:/var/log - | tar t        as a tar archive
  tar c . | fairlead cp - web:/tmp          the other way
`;
