import type { Socket } from "node:net";
import { FleetError } from "../../domain/errors.ts";
import { failureFromBrokenCall } from "./docker-errors.ts";
import { FrameDecoder } from "./docker-frames.ts";
import type { OutputPiece } from "./engine-streams.ts";

/** What Control-D sends. */
const endOfTransmission = Uint8Array.of(4);

/** The inputs and outputs of a process over a connection that Docker gave away. Whoever makes it must `release` it. */
export class DockerStream {
  /** As `EngineProcess.output` says. */
  readonly output: AsyncIterable<OutputPiece>;
  /** Whether the engine, or we, have ended the output. */
  over = false;
  readonly #socket: Socket;
  readonly #tty: boolean;
  readonly #address: string;
  #released = false;
  #inputClosed = false;

  constructor(socket: Socket, options: { readonly tty: boolean; readonly address: string }) {
    this.#socket = socket;
    this.#tty = options.tty;
    this.#address = options.address;
    this.output = this.#read();
    this.whenOver(() => {
      this.over = true;
    });
  }

  /** Calls back, maybe more than once, when the output ends. Returns how to take that back. */
  whenOver(listener: () => void): () => void {
    this.#socket.once("end", listener).once("close", listener);
    return () => this.#socket.off("end", listener).off("close", listener);
  }

  /** Resolves when there is room for more. What nobody takes any more is dropped. */
  async write(data: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (!socket.writable || this.#inputClosed || socket.write(data)) {
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("drain", resolve).once("close", resolve);
    await promise;
    socket.off("drain", resolve).off("close", resolve);
  }

  /** The end of input. With a TTY it is Control-D: there Docker takes an end for a wish to hear nothing more. */
  async closeInput(): Promise<void> {
    if (this.#tty) {
      return this.write(endOfTransmission);
    }
    if (!this.#inputClosed) {
      this.#inputClosed = true;
      this.#socket.end();
    }
  }

  /** Frees the socket; the output ends. */
  release(): void {
    this.#released = true;
    this.#socket.destroy();
  }

  async *#read(): AsyncGenerator<OutputPiece> {
    try {
      const decoder = this.#tty ? undefined : new FrameDecoder();
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) {
        if (decoder === undefined) {
          yield { stream: "stdout", data: chunk };
          continue;
        }
        for (const { stream, data } of decoder.decode(chunk)) {
          if (data.length > 0) {
            yield { stream, data };
          }
        }
      }
    } catch (error) {
      if (!this.#released) {
        throw error instanceof FleetError ? error : failureFromBrokenCall(error, false, this.#address);
      }
    }
  }
}
