import type { MessageInitShape } from "@bufbuild/protobuf";
import { FleetError } from "../domain/errors.ts";
import type { ExecRequestSchema, ExecResponse } from "../gen/fairlead/container/v1/exec_service_pb.js";
import type { ExecSpecSchema, ProcessInputSchema } from "../gen/fairlead/container/v1/process_pb.js";
import { OutputStream } from "../gen/fairlead/container/v1/log_pb.js";
import { execByCalls } from "../client/exec-by-calls.ts";
import { Merge } from "../resilience/merge.ts";
import { linkSignal } from "../resilience/signals.ts";
import type { Terminal } from "./environment.ts";
import type { Invocation } from "./invocation.ts";
import { writeWhenRoom } from "./output/write-when-room.ts";

type Request = MessageInitShape<typeof ExecRequestSchema>;
type Input = NonNullable<MessageInitShape<typeof ProcessInputSchema>["input"]>;

/** What to start, or what to attach to. */
export interface Start {
  readonly container: string;
  readonly host: string;
  /** Undefined: attach to the container's own process. */
  readonly process?: MessageInitShape<typeof ExecSpecSchema>;
  readonly tty: boolean;
  readonly stdin: boolean;
}

type Size = ReturnType<Terminal["size"]>;

const usualSize = { columns: 80, rows: 24 };
// A message may carry 64 KiB; a pipe gives as much at once.
const pieceBytes = 32 * 1024;

/**
 * Lets the person talk with a process: what is typed goes in, what it writes comes out, with a terminal as if it ran here. `onStarted` is
 * called when it has begun, or is attached to. Resolves to its exit code. Rejects with INVALID_ARGUMENT when a terminal is wanted
 * and there is none here. However it ends, the person's terminal is as it was before.
 */
export async function talk(
  invocation: Invocation,
  start: Start,
  onStarted: () => Promise<unknown> = () => Promise.resolve(),
): Promise<number> {
  const { environment } = invocation;
  const terminal = start.tty ? requireTerminal(environment.terminal, start) : undefined;
  const scope = linkSignal(environment.signal);
  const inputs = new Merge<Input>();
  if (start.stdin) inputs.add(typed(environment.stdin?.read(scope.signal)));
  const sizes = new Sizes(terminal);
  if (terminal !== undefined) inputs.add(sizes.changes(scope.signal));
  inputs.seal();
  const begun = Promise.withResolvers<void>();
  try {
    const size = knownSize(terminal) ?? usualSize;
    const typing = inputs.read();
    const requests = (isOver: () => boolean) =>
      withStart({ start, size, isOver, begun: begun.promise }, typing);
    let exitCode: number | undefined;
    for await (const { message } of answers(invocation, requests, scope.signal)) {
      if (message.case === "started") {
        begun.resolve();
        if (start.stdin) terminal?.setRaw(true);
        await onStarted();
        // What was attached to before it ran has its size only now.
        sizes.tell();
      } else if (message.case === "output") {
        await show(invocation, message.value);
      } else if (message.case === "exit") {
        ({ exitCode } = message.value);
      }
    }
    if (exitCode === undefined) throw new FleetError("AGENT_DISCONNECTED", "the process's end was not told");
    return exitCode;
  } finally {
    terminal?.setRaw(false);
    scope.abort(new FleetError("CANCELLED", "the process has ended"));
    begun.resolve();
    scope.release();
    sizes.close();
  }
}

async function show(
  { environment }: Invocation,
  { stream, data }: Extract<ExecResponse["message"], { case: "output" }>["value"],
): Promise<void> {
  const output = stream === OutputStream.STDERR ? environment.stderr : environment.stdout;
  await writeWhenRoom(output, data, environment.signal);
}

/** By a stream both ways where HTTP/2 gets through, otherwise by calls. */
async function* answers(
  { client, duplex }: Invocation,
  requests: (isOver: () => boolean) => AsyncIterable<Request>,
  signal: AbortSignal,
): AsyncGenerator<Pick<ExecResponse, "message">> {
  let hasBegun = false;
  let isOver = false;
  try {
    for await (const answer of duplex.processes.exec(
      requests(() => isOver),
      { signal },
    )) {
      hasBegun = true;
      yield answer;
    }
  } catch (error) {
    if (hasBegun || !isUnreachable(error)) throw error;
    // What the first way was given to read from must leave what is typed to the second.
    isOver = true;
    const again = requests(() => false);
    yield* execByCalls(client.processes, again, signal);
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof FleetError && error.reason === "SERVER_UNREACHABLE";
}

/** Nothing is taken of what is typed before the process has begun. */
async function* withStart(
  opening: {
    readonly start: Start;
    readonly size: Size;
    readonly begun: Promise<void>;
    /** Somebody else reads the inputs. */
    readonly isOver: () => boolean;
  },
  inputs: AsyncIterable<Input>,
): AsyncGenerator<Request> {
  const { start, size: terminalSize, begun, isOver } = opening;
  yield { message: { case: "start", value: { ...start, terminalSize } } };
  await begun;
  if (isOver()) return;
  for await (const input of inputs) yield { message: { case: "input", value: { input } } };
}

async function* typed(pieces: AsyncIterable<Uint8Array> | undefined): AsyncGenerator<Input> {
  for await (const bytes of pieces ?? []) {
    for (let from = 0; from < bytes.byteLength; from += pieceBytes) {
      yield { case: "data", value: bytes.subarray(from, from + pieceBytes) };
    }
  }
  yield { case: "end", value: {} };
}

function requireTerminal(terminal: Terminal | undefined, { stdin }: Start): Terminal {
  if (terminal !== undefined && (!stdin || terminal.isInput)) return terminal;
  throw new FleetError(
    "INVALID_ARGUMENT",
    "there is no terminal here to give it (-t); leave -t out where input or output is piped",
  );
}

function knownSize(terminal: Terminal | undefined): Size | undefined {
  const size = terminal?.size();
  return size === undefined || size.columns === 0 || size.rows === 0 ? undefined : size;
}

/** The sizes that the person's terminal takes. */
class Sizes {
  readonly #terminal: Terminal | undefined;
  readonly #stop: () => void;
  #news = false;
  #wake: (() => void) | undefined;

  constructor(terminal: Terminal | undefined) {
    this.#terminal = terminal;
    this.#stop = terminal?.onResize(() => this.tell()) ?? (() => undefined);
  }

  /** Lets the size be told, changed or not. */
  tell(): void {
    this.#news = true;
    this.#wake?.();
  }

  close(): void {
    this.#stop();
  }

  async *changes(signal: AbortSignal): AsyncGenerator<Input> {
    const onAbort = () => this.#wake?.();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const size = this.#news ? knownSize(this.#terminal) : undefined;
        this.#news = false;
        if (size !== undefined) {
          yield { case: "resize", value: size };
        } else {
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#wake = resolve;
          await promise;
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
