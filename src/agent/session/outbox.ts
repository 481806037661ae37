import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { FrameWriter } from "../../rpc/frame-writer.ts";
import type { CommandSink } from "../execution/command-sink.ts";
import type { JournalRow } from "../execution/journal-database.ts";
import type { PolicyReport } from "../execution/policy/policy-file.ts";
import type { EngineHealth } from "../inventory/engine-follower.ts";
import type { HostEventQueue } from "../inventory/host-event-queue.ts";
import type { InventoryFeed, InventoryStep } from "../inventory/inventory-feed.ts";
import type { FrameSink } from "../../rpc/frame-writer.ts";
import * as items from "./frame-items.ts";
import type { NewKeyProof } from "./key-rotation.ts";
import type { Lease } from "./lease.ts";

/** What an outbox is made of. */
export interface OutboxOptions {
  readonly sink: FrameSink;
  readonly agentId: string;
  readonly epoch: number;
  readonly lease: Pick<Lease, "isOver" | "silentMs">;
  /** As the welcome says. */
  readonly maxFrameBytes: number;
  readonly feed: InventoryFeed;
  readonly events: HostEventQueue;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when there is room again after `congested` was true. */
  readonly onRoom: () => void;
  /** Called when the control plane reads so little that even answers find no room. The session must end. */
  readonly onOverflow: (error: FleetError) => void;
}

interface LargeResult {
  readonly commandId: string;
  readonly result: Uint8Array;
  sentBytes: number;
  index: number;
}

const frameFieldNumber = 2; // AgentStreamRequest.frame
const frameOverheadBytes = 16;
const maxQueuedBytes = 4 * 1024 * 1024;
const congestedBytes = 1024 * 1024;
const congestedLargeResults = 4;
const partBytes = 48 * 1024;
const partOverheadBytes = 256;
const bulkBytes = 32 * 1024;

/**
 * What a session has to send. Answers and heartbeats go out with the turn of the event loop in which they came. What
 * is bulky (parts of large results, the inventory, facts) is made only when everything before it is sent, one frame
 * at a time, so that it never stands before an answer with more than that.
 */
export class Outbox implements CommandSink {
  readonly agentId: string;
  readonly epoch: number;
  readonly #options: OutboxOptions;
  readonly #writer: FrameWriter;
  readonly #partBytes: number;
  readonly #large: LargeResult[] = [];
  #largeIsNext = true;
  #wasCongested = false;
  #hasBulk = Promise.withResolvers<void>();
  #closed = false;

  constructor(options: OutboxOptions) {
    const maxFrameBytes = options.maxFrameBytes - frameOverheadBytes;
    this.agentId = options.agentId;
    this.epoch = options.epoch;
    this.#options = options;
    this.#partBytes = Math.min(partBytes, maxFrameBytes - partOverheadBytes);
    this.#writer = new FrameWriter({ sink: options.sink, frameFieldNumber, maxFrameBytes, maxQueuedBytes });
  }

  get lapsed(): boolean {
    return this.#options.lease.isOver;
  }

  get silentMs(): number {
    return this.#options.lease.silentMs;
  }

  get congested(): boolean {
    const congested =
      this.#writer.queuedBytes > congestedBytes || this.#large.length >= congestedLargeResults;
    if (congested) {
      this.#wasCongested = true;
      this.wake();
    }
    return congested;
  }

  accepted(commandId: string, attempt: number): void {
    this.#push(items.acceptanceItem(commandId, attempt));
  }

  ended(commandId: string, result: Uint8Array): void {
    if (result.byteLength <= this.#partBytes) {
      this.#push(items.resultItem(result));
      return;
    }
    this.#large.push({ commandId, result, sentBytes: 0, index: 0 });
    this.wake();
  }

  /** Sends results that an earlier session could not, no faster than they are read. */
  async resend(held: readonly JournalRow[]): Promise<void> {
    for (const { commandId, result } of held) {
      if (result === undefined) continue;
      while (!this.#closed && this.congested) await this.#writer.drained();
      this.ended(commandId, result);
    }
  }

  /** Sends a heartbeat. */
  heartbeat(): void {
    this.#push(items.heartbeatItem(this.#options.clock.now()));
  }

  /** Says whether the engine answers. */
  engineState(health: EngineHealth): void {
    this.#push(items.engineStateItem(health));
  }

  /** Says what the host's policy is now. */
  hostPolicy(report: PolicyReport): void {
    this.#push(items.hostPolicyItem(report));
  }

  /** Answers with a new key. */
  keyProof(proof: NewKeyProof): void {
    this.#push(items.keyProofItem(proof));
  }

  /** Asks for a certificate. */
  certificateRequest(request: Uint8Array): void {
    this.#push(items.certificateRequestItem(request));
  }

  /** Says which authorities the agent trusts. */
  authorityReport(digests: readonly Uint8Array[]): void {
    this.#push(items.authorityReportItem(digests));
  }

  /** There may be something bulky to send. */
  wake(): void {
    this.#hasBulk.resolve();
  }

  /** Sends what is bulky until `close`. */
  async run(): Promise<void> {
    while (!this.#closed) {
      await this.#writer.drained();
      this.#tellRoom();
      const bulk = this.#nextBulk();
      for (const item of bulk) this.#push(item);
      if (bulk.length > 0) continue;
      await this.#hasBulk.promise;
      this.#hasBulk = Promise.withResolvers();
    }
  }

  /** Resolves when everything that is known now has been handed to the connection, or after `close`. */
  async flushed(): Promise<void> {
    while (!this.#closed && (this.#large.length > 0 || this.#writer.queuedBytes > 0)) {
      await this.#writer.drained();
    }
  }

  /** Sends nothing more. */
  close(): void {
    this.#closed = true;
    this.#writer.close();
    this.wake();
  }

  #push(item: Uint8Array): void {
    if (this.#writer.push(item) || this.#closed) return;
    if (!this.#writer.fits(item.byteLength)) {
      this.#options.logger.error({ bytes: item.byteLength }, "something too large for a frame is left out");
      return;
    }
    this.#options.onOverflow(new FleetError("OVERLOADED", "the control plane does not read what it is sent"));
  }

  #tellRoom(): void {
    if (!this.#wasCongested) return;
    this.#wasCongested = false;
    this.#options.onRoom();
  }

  // Parts and the rest take turns, so that neither a large result nor a busy host keeps the other waiting.
  #nextBulk(): Uint8Array[] {
    const sources = [() => this.#nextPart(), () => this.#nextFacts()];
    if (!this.#largeIsNext) sources.reverse();
    this.#largeIsNext = !this.#largeIsNext;
    for (const source of sources) {
      const bulk = source();
      if (bulk.length > 0) return bulk;
    }
    return [];
  }

  #nextPart(): Uint8Array[] {
    const large = this.#large[0];
    if (large === undefined) return [];
    const { commandId, result, sentBytes, index } = large;
    const data = result.subarray(sentBytes, sentBytes + this.#partBytes);
    large.sentBytes += data.byteLength;
    large.index += 1;
    const last = large.sentBytes === result.byteLength;
    if (last) this.#large.shift();
    return [items.resultPartItem(commandId, index, last, data)];
  }

  #nextFacts(): Uint8Array[] {
    const { events, feed } = this.#options;
    const bulk: Uint8Array[] = [];
    for (let bytes = 0; bytes < bulkBytes; ) {
      const step = feed.next();
      // Facts wait for the end of a snapshot, so that nobody hears of a container before seeing it.
      const event = feed.complete ? events.peek() : undefined;
      if (step === undefined && event === undefined) break;
      const made = step === undefined ? [] : this.#inventoryItem(step);
      if (event !== undefined) {
        events.take();
        made.push(items.hostEventItem(event));
      }
      bulk.push(...made);
      bytes += made.reduce((sum, item) => sum + item.byteLength, 0);
    }
    return bulk;
  }

  #inventoryItem(step: InventoryStep): Uint8Array[] {
    const { clock, logger } = this.#options;
    const whole = items.inventoryItem(step, clock.now());
    if (this.#writer.fits(whole.byteLength) || step.kind !== "container") return [whole];
    const { container } = step;
    logger.warn(
      { container_id: container.id, bytes: whole.byteLength },
      "container too large, told without its labels",
    );
    return [
      items.inventoryItem({ kind: "container", container: items.slimContainer(container) }, clock.now()),
    ];
  }
}
