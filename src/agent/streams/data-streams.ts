import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { IdentityFile } from "../identity/identity-file.ts";
import { DataConnections } from "./data-connections.ts";
import { DataStream, type EndOfStream } from "./data-stream.ts";

/** What data streams need. */
export interface DataStreamsParts {
  /** The control plane's listener for agents, "host:port". */
  readonly server: string;
  readonly identity: Pick<IdentityFile, "agentId" | "key">;
  /** How the next connection is secured. */
  readonly secure: (signal: AbortSignal) => Promise<ChannelCredentials>;
  readonly wheel: TimerWheel;
  readonly maxStreams: number;
  readonly logger: Logger;
}

/** What is done over a stream. It must end soon when the stream's signal aborts. */
export type StreamWork = (stream: DataStream) => Promise<EndOfStream>;

// Keeps these signatures from being of use anywhere else, docs/protocol.md "Data streams".
const signedPrefix = new TextEncoder().encode("fairlead-data-v1\0");

/** The streams that this agent holds beside its session. */
export class DataStreams {
  readonly #parts: DataStreamsParts;
  readonly #connections: DataConnections;
  readonly #open = new Set<DataStream>();
  readonly #running = new Set<Promise<void>>();
  #count = 0;
  #closed: FleetError | undefined;

  constructor(parts: DataStreamsParts) {
    this.#parts = parts;
    this.#connections = new DataConnections(parts);
  }

  /** How many are open or being opened. */
  get size(): number {
    return this.#count;
  }

  /**
   * Opens the stream that a ticket is for, and does the work over it, which goes on after this has resolved: what the work resolves to, or
   * rejects with, is told as the stream's end. Rejects, and no work is done, with TOO_MANY_STREAMS, with what the control plane
   * answers instead of accepting it, and with the signal's reason.
   */
  async run(ticket: Uint8Array, work: StreamWork, signal: AbortSignal): Promise<void> {
    await this.begin(ticket, () => Promise.resolve(work), signal);
  }

  /**
   * The same for work that has a beginning, once the stream is accepted, without which it is nothing: when that fails the stream is
   * cut, and this rejects with the failure.
   */
  async begin(
    ticket: Uint8Array,
    beginning: (stream: DataStream) => Promise<StreamWork>,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    const { maxStreams } = this.#parts;
    if (this.#count >= maxStreams) {
      throw new FleetError("TOO_MANY_STREAMS", `the agent holds ${maxStreams} streams, which is its limit`);
    }
    this.#count += 1;
    let working = false;
    try {
      const { call, release } = await this.#connections.open(signal);
      const stream = new DataStream(call, this.#parts.wheel);
      const work = await this.#prepared(stream, ticket, beginning, signal).catch((error: unknown) => {
        release(false);
        throw error;
      });
      working = true;
      this.#start(stream, work, release);
    } finally {
      if (!working) this.#count -= 1;
    }
  }

  /** Ends every stream, because the session has ended or the agent goes away. */
  endAll(reason: FleetError): void {
    for (const stream of this.#open) stream.cancel(reason);
  }

  /** Opens none any more, ends all, and waits for their work. */
  async close(reason: FleetError): Promise<void> {
    this.#closed = reason;
    this.endAll(reason);
    this.#connections.close();
    await Promise.all(this.#running);
  }

  async #prepared(
    stream: DataStream,
    ticket: Uint8Array,
    beginning: (stream: DataStream) => Promise<StreamWork>,
    signal: AbortSignal,
  ): Promise<StreamWork> {
    try {
      await this.#introduce(stream, ticket, signal);
      return await beginning(stream);
    } catch (error) {
      const known = error instanceof FleetError ? error : new FleetError("CANCELLED", "not wanted any more");
      // The command's own failure says why.
      stream.cancel(known);
      throw error;
    }
  }

  async #introduce(stream: DataStream, ticket: Uint8Array, signal: AbortSignal): Promise<void> {
    const { agentId, key } = this.#parts.identity;
    const signature = key.sign(Buffer.concat([signedPrefix, ticket]));
    await stream.open({ ticket, agentId: agentId ?? "", signature }, signal);
  }

  #start(stream: DataStream, work: StreamWork, release: (reusable: boolean) => void): void {
    this.#open.add(stream);
    if (this.#closed !== undefined) stream.cancel(this.#closed);
    const running = this.#work(stream, work)
      .then(release)
      .finally(() => {
        this.#count -= 1;
        this.#open.delete(stream);
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async #work(stream: DataStream, work: StreamWork): Promise<boolean> {
    let end: EndOfStream;
    try {
      end = await work(stream);
    } catch (error) {
      end = { error: this.#known(error, stream) };
    }
    const isGood = await stream.finish(end);
    if (!isGood) stream.cancel(new FleetError("CANCELLED", "the stream is over"));
    return isGood;
  }

  #known(error: unknown, { signal }: DataStream): FleetError {
    if (error instanceof FleetError) return error;
    if (!signal.aborted) this.#parts.logger.error({ err: error }, "a stream failed by a fault of the agent");
    return new FleetError("OPERATION_FAILED", "the agent failed; its log says why", { cause: error });
  }
}
