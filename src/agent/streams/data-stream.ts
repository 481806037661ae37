import type { MessageInitShape } from "@bufbuild/protobuf";
import { FleetError } from "../../domain/errors.ts";
import {
  DataStreamRequestSchema,
  type DataStreamResponse,
  DataStreamResponseSchema,
} from "../../gen/fairlead/agent/v1/data_stream_pb.js";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import { MessageStream } from "../../rpc/message-stream.ts";
import type { DataCall } from "./data-connections.ts";

/** What an agent may send on a stream that was accepted. */
export type StreamOutput = Exclude<
  NonNullable<MessageInitShape<typeof DataStreamRequestSchema>["message"]>,
  { case: "opening" } | { case: "end" } | { case?: undefined }
>;

/** What comes from the control plane, but for the acceptance. */
export type StreamInput = Exclude<DataStreamResponse["message"], { case: "accepted" } | { case: undefined }>;

/** How a stream ended. */
export interface EndOfStream {
  /** Undefined: well. */
  readonly error?: FleetError;
  /** Of a process. */
  readonly exitCode?: number;
}

// How long the control plane may take to answer the end.
const farewellMs = 5_000;

/** The agent's end of a data stream: sends no faster than the caller reads. */
export class DataStream {
  readonly #call: DataCall;
  readonly #stream: MessageStream<typeof DataStreamResponseSchema, typeof DataStreamRequestSchema>;
  readonly #wheel: TimerWheel;

  constructor(call: DataCall, wheel: TimerWheel) {
    this.#call = call;
    this.#wheel = wheel;
    this.#stream = new MessageStream(call, {
      incoming: DataStreamResponseSchema,
      outgoing: DataStreamRequestSchema,
    });
  }

  /** Aborts when nobody wants the stream any more, or it broke, with why. */
  get signal(): AbortSignal {
    return this.#stream.signal;
  }

  /** Shows the ticket and waits until it is accepted. Rejects with what the control plane answers instead, and with the signal's reason. */
  async open(
    opening: { readonly ticket: Uint8Array; readonly agentId: string; readonly signature: Uint8Array },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#stream.send({ message: { case: "opening", value: opening } }, signal);
    const answer = await this.#stream.next(signal);
    if (answer?.message.case === "accepted") return;
    throw new FleetError(
      "PROTOCOL_VIOLATION",
      "the control plane did not accept the stream, and did not say why",
    );
  }

  /** Sends something, or a message that is written already, and waits until there is room for more. Rejects when the stream is over. */
  async send(message: StreamOutput | Uint8Array): Promise<void> {
    if (message instanceof Uint8Array) await this.#stream.sendBytes(message);
    else await this.#stream.send({ message });
  }

  /** What comes in, until the control plane says that nothing more does. Throws what ended the stream. */
  async *input(): AsyncGenerator<StreamInput, void> {
    for (;;) {
      const message = (await this.#stream.next(this.signal))?.message;
      if (message === undefined) return;
      if (message.case !== undefined && message.case !== "accepted") yield message;
    }
  }

  /** Reads on, so that the end is noticed where nothing more is expected. Resolves when the stream is over; never rejects. */
  async watch(): Promise<void> {
    try {
      for await (const _ of this.input());
    } catch {
      // `signal` says why.
    }
  }

  /** Says how it ended, and waits a moment for the answer. Resolves to whether the connection is still good. Never rejects. */
  async finish({ error, exitCode = 0 }: EndOfStream): Promise<boolean> {
    if (this.signal.aborted) return false;
    const failure =
      error === undefined
        ? undefined
        : { reason: error.reason, message: error.message, metadata: { ...error.metadata } };
    try {
      await this.#stream.send({ message: { case: "end", value: { exitCode, ...(failure && { failure }) } } });
      this.#stream.finish();
      return await this.#answered();
    } catch {
      return false;
    }
  }

  /** Lets go of it at once. */
  cancel(reason: FleetError): void {
    this.#stream.end(reason);
    this.#call.cancel();
  }

  async #answered(): Promise<boolean> {
    const late = new AbortController();
    const timer = this.#wheel.schedule(farewellMs, () => late.abort());
    try {
      while ((await this.#stream.next(late.signal)) !== undefined);
      return true;
    } finally {
      timer.cancel();
    }
  }
}
