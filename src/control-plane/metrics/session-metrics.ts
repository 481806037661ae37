import { Counter, type Registry } from "prom-client";
import type { Reason } from "../../domain/errors.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { NewEvent } from "../../storage/records.ts";
import type { SessionObserver } from "../session/session-observer.ts";

/** Counts agents' streams, and who got in. */
export class SessionMetrics implements SessionObserver {
  readonly #opened: Counter;
  readonly #ended: Counter<"reason">;
  readonly #refused: Counter<"reason">;
  readonly #items: Counter<"item">;
  readonly #enrolments: Counter<"result">;
  readonly #reconnections: Counter<"cause">;

  constructor(registry: Registry) {
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
      new Counter({ name, help, labelNames, registers: [registry] });
    this.#opened = counter("fairlead_sessions_opened_total", "Sessions of agents that began.", []);
    this.#ended = counter("fairlead_sessions_ended_total", "Sessions that ended, by reason.", ["reason"]);
    this.#refused = counter(
      "fairlead_agent_streams_refused_total",
      "Streams that ended before they had a session, by reason.",
      ["reason"],
    );
    this.#items = counter(
      "fairlead_frame_items_refused_total",
      "Items of agents' frames that broke a bound, by kind.",
      ["item"],
    );
    this.#enrolments = counter(
      "fairlead_enrolments_total",
      "Attempts to enrol; result OK: a host was enrolled.",
      ["result"],
    );
    this.#reconnections = counter(
      "fairlead_reconnections_refused_total",
      "Agents that were not let back in, by cause.",
      ["cause"],
    );
  }

  opened(): void {
    this.#opened.inc();
  }

  ended(reason: Reason): void {
    this.#ended.inc({ reason });
  }

  refused(reason: Reason): void {
    this.#refused.inc({ reason });
  }

  itemRefused(item: string): void {
    this.#items.inc({ item });
  }

  /** An event was made; those of enrolment are counted. */
  event({ type, attributes }: NewEvent): void {
    const cause = attributes["cause"] ?? "";
    if (type === EventType.HOST_ENROLLED) this.#enrolments.inc({ result: "OK" });
    if (type === EventType.ENROLMENT_REFUSED) this.#enrolments.inc({ result: cause });
    if (type === EventType.RECONNECTION_REFUSED) this.#reconnections.inc({ cause });
  }
}
