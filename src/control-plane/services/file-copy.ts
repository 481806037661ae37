import { FleetError } from "../../domain/errors.ts";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { CopyFromResponseSchema } from "../../gen/fairlead/container/v1/file_service_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { type Actor, doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import type { HostIdentity } from "../inventory/host-view.ts";
import type { DataStream } from "../streams/data-stream.ts";
import type { DataStreams } from "../streams/data-streams.ts";

/** What copies need. */
export interface FileCopyParts {
  readonly dataStreams: Pick<DataStreams, "open">;
  readonly events: Pick<EventLog, "record">;
  readonly clock: Clock;
}

/** Whose files. */
export interface FileOwner {
  readonly host: HostIdentity;
  /** Full id; the caller's own word where the inventory does not know the container. */
  readonly containerId: string;
  readonly containerName: string;
}

/** Which copy, for whom. */
export interface CopyWish {
  readonly owner: FileOwner;
  readonly direction: "OUT" | "IN";
  readonly path: string;
  /** The operation, but for its ticket and its container. */
  readonly operation:
    | { readonly case: "copyOut" }
    | { readonly case: "copyIn"; readonly copyOwners: boolean; readonly allowOverwriteKind: boolean };
  readonly actor: Actor;
  readonly signal: AbortSignal;
}

type Answer = NonNullable<MessageInitShape<typeof CopyFromResponseSchema>["message"]>;

/** One copy out of a container or into it, from its beginning to its end, which is an event. */
export class FileCopy {
  readonly #parts: FileCopyParts;
  readonly #wish: CopyWish;
  readonly #stream: DataStream;
  readonly #commandId: string;
  readonly #beganMs: number;
  #bytes = 0;

  private constructor(
    parts: FileCopyParts,
    wish: CopyWish,
    opened: { readonly commandId: string; readonly stream: DataStream },
  ) {
    this.#parts = parts;
    this.#wish = wish;
    this.#stream = opened.stream;
    this.#commandId = opened.commandId;
    this.#beganMs = parts.clock.monotonic();
  }

  /** Begins a copy. Rejects as `DataStreams.open` does. One that began must be read, or given its archive. */
  static async open(parts: FileCopyParts, wish: CopyWish): Promise<FileCopy> {
    const { owner, actor, path, signal } = wish;
    const { case: kind, ...options } = wish.operation;
    const opened = await parts.dataStreams.open({
      host: owner.host,
      container: owner.containerId,
      containerName: owner.containerName,
      operation: (ticket) => {
        const value = { ticket, container: owner.containerId, path, ...options };
        return create(OperationSchema, { operation: { case: kind, value } });
      },
      timeoutMs: undefined,
      caller: actor.name,
      callerKeyId: actor.keyId,
      callerAddress: actor.address,
      signal,
    });
    return new FileCopy(parts, wish, opened);
  }

  /** What comes out of the container, at the speed of its reader. Throws when it breaks off. */
  async *out(): AsyncGenerator<Answer, void> {
    let error: unknown = new FleetError("CANCELLED", "the caller went away");
    try {
      for await (const message of this.#stream.messages(this.#wish.signal)) {
        if (message.case === "path") yield { case: "facts", value: message.value };
        if (message.case !== "archive") continue;
        this.#bytes += message.value.byteLength;
        yield message;
      }
      error = undefined;
    } catch (thrown) {
      error = thrown;
      throw thrown;
    } finally {
      this.#record(error);
    }
  }

  /**
   * Gives the container an archive, as fast as its host takes it. Resolves to its bytes when all of it is unpacked; rejects with what the host
   * failed with, also before the archive is at its end, and with what the archive throws.
   */
  async in(archive: AsyncIterable<Uint8Array>): Promise<number> {
    // Ends the host's side, and with it the wait for the host, where the archive is at fault.
    void this.#feed(archive);
    let error: unknown;
    try {
      for await (const _ of this.#stream.messages(this.#wish.signal));
      return this.#bytes;
    } catch (thrown) {
      error = thrown;
      throw thrown;
    } finally {
      this.#record(error);
    }
  }

  /** Never rejects. */
  async #feed(archive: AsyncIterable<Uint8Array>): Promise<void> {
    const { signal } = this.#wish;
    try {
      for await (const value of archive) {
        await this.#stream.send({ case: "archive", value }, signal);
        this.#bytes += value.byteLength;
      }
      await this.#stream.send({ case: "archiveEnd", value: {} }, signal);
    } catch (error) {
      this.#stream.end(
        error instanceof FleetError ? error : new FleetError("CANCELLED", "the archive broke off"),
      );
    }
  }

  #record(error: unknown): void {
    const { owner, direction, path, actor } = this.#wish;
    const durationMs = Math.round(this.#parts.clock.monotonic() - this.#beganMs);
    this.#parts.events.record({
      type: EventType.FILES_COPIED,
      hostId: owner.host.hostId,
      hostName: owner.host.hostName,
      containerId: owner.containerId,
      containerName: owner.containerName,
      commandId: this.#commandId,
      ...doneBy(actor, {
        direction,
        path,
        bytes: `${this.#bytes}`,
        duration_ms: `${durationMs}`,
        ...(error === undefined ? {} : { reason: error instanceof FleetError ? error.reason : "INTERNAL" }),
      }),
    });
  }
}
