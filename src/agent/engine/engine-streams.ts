/** Where a process writes. */
export type OutputStream = "stdout" | "stderr";

/** Which records of a log are wanted. */
export interface LogQuery {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Go on with what is written later, until the container ends. */
  readonly follow: boolean;
  /** Only the last so many records. Undefined: all that the engine still has. */
  readonly tail: number | undefined;
  /** Only what was written at this time or later, in nanoseconds since the epoch by the engine's clock. */
  readonly sinceNs: bigint | undefined;
  /** Only what was written until then. */
  readonly untilNs: bigint | undefined;
}

/** One record as the engine keeps it: a line with its newline, or a part (Docker: 16 KiB) of a longer line without one. */
export interface LogRecord {
  readonly stream: OutputStream;
  /** When the engine took it in, in nanoseconds since the epoch by its clock. The parts of one line have one time. */
  readonly timeNs: bigint;
  readonly data: Uint8Array;
}

/** A piece of what a process writes. Pieces begin and end anywhere. */
export interface OutputPiece {
  readonly stream: OutputStream;
  readonly data: Uint8Array;
}

/** A running process (exec), or the main process of a container that one is attached to. Whoever has one must `kill` it. */
export interface EngineProcess {
  /**
   * What it writes, in the order in which the engine tells. Ends when the process has closed its outputs. To be read by one
   * reader, once; not reading slows the process down, leaving the loop lets go of the connection. With a TTY all is stdout. Rejects with `ENGINE_UNAVAILABLE` when the
   * engine goes away, where that can be seen; otherwise it ends, and `exitCode` says it.
   */
  readonly output: AsyncIterable<OutputPiece>;
  /** Resolves when more may be written. What a process does not take any more is dropped, and is no error. */
  write(data: Uint8Array): Promise<void>;
  /** The end of its input. May be called often. */
  closeInput(): Promise<void>;
  /** Sets the size of its TTY. Nothing happens when it has ended. */
  resize(columns: number, rows: number): Promise<void>;
  /** The exit code, once the process has ended: 128 and the signal's number where a signal ended it. */
  exitCode(signal: AbortSignal): Promise<number>;
  /**
   * Exec: ends the process with SIGKILL, and all of its session. Attach: only lets go of it. Frees the sockets. Resolves when
   * nothing is left, or when the engine could not be made to. May be called often; never rejects.
   */
  kill(): Promise<void>;
  /** Sends a signal such as "SIGINT" to an exec's process. Rejects with `OPERATION_UNSUPPORTED` when one is attached. */
  signal(name: string): Promise<void>;
}

/** What to run in a container. */
export interface ExecSpec {
  readonly command: readonly string[];
  /** Besides the container's own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Empty: the container's own. */
  readonly workingDirectory: string;
  /** Name or number, also with a group, as "1000:1000". Empty: the container's own. */
  readonly user: string;
  readonly tty: boolean;
  /** Whether it gets input. Without, it reads the end at once. */
  readonly stdin: boolean;
  readonly privileged: boolean;
  /** The size of its TTY at its beginning. */
  readonly columns?: number;
  readonly rows?: number;
}

/** How one attaches. */
export interface AttachOptions {
  /** Whether one writes to its input, too. */
  readonly stdin: boolean;
}
