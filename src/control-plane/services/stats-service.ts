import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import type { ContainerSelector } from "../../gen/fairlead/container/v1/container_selector_pb.js";
import type {
  GetStatsRequest,
  HostFailureSchema,
  StatsService,
  StreamStatsRequest,
  StreamStatsResponseSchema,
} from "../../gen/fairlead/container/v1/stats_service_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { withDeadline } from "../../resilience/deadline.ts";
import { eachOf } from "../../resilience/each-of.ts";
import { Merge } from "../../resilience/merge.ts";
import { linkSignal } from "../../resilience/signals.ts";
import { hostNotFound } from "../inventory/fleet-inventory.ts";
import type { HostTest, HostView } from "../inventory/host-view.ts";
import { callSignal } from "./call-signal.ts";
import { seenBy } from "./calling.ts";
import { endWhenHidden } from "./end-when-hidden.ts";
import { withHeartbeats } from "./heartbeats.ts";
import { HostFigures, type HostFiguresParts, type Moment, referenceTo } from "./host-figures.ts";
import { type HostWish, StatsScope } from "./stats-scope.ts";

/** What the stats service needs. */
export type StatsServiceParts = HostFiguresParts & { readonly clock: Clock };

type Response = MessageInitShape<typeof StreamStatsResponseSchema>;
type Failure = MessageInitShape<typeof HostFailureSchema>;

interface StatsRequest {
  readonly selector?: ContainerSelector | undefined;
  readonly includeHosts: boolean;
}

/** How many hosts one stream may measure: each takes one of the fleet's data streams. */
const maxHosts = 256;
const hostsAtOnce = 64;
/** How long a host may take for its one sample before the others are answered without it. */
const hostMs = 20_000;
const heartbeatMs = 15_000;
const usualIntervalMs = 1_000;
const searchMs = 1_000;
const retryMs = 2_000;

/** Measures containers and hosts, one host's failure being no failure of the others. */
export function createStatsService(parts: StatsServiceParts): ServiceImpl<typeof StatsService> {
  return {
    getStats: (request, context) => getStats(parts, request, context),
    streamStats: (request, context) => streamStats(parts, request, context),
  };
}

async function getStats(parts: StatsServiceParts, request: GetStatsRequest, context: HandlerContext) {
  const call = callSignal(context.signal);
  try {
    const { scope, figures } = stepsOf(parts, request, context, undefined);
    const answers = await eachOf(scope.hosts(), hostsAtOnce, (host) =>
      measuredOnce(parts.clock, figures, scope.of(host.hostId), call.signal),
    );
    const found = answers.filter((answer) => answer !== undefined);
    return {
      containers: found.flatMap(({ containers }) => [...containers]),
      hosts: found.map(({ host }) => host).filter((host) => host !== undefined),
      failures: found.map(({ failure }) => failure).filter((failure) => failure !== undefined),
    };
  } finally {
    call.release();
  }
}

async function measuredOnce(
  clock: Clock,
  figures: HostFigures,
  wish: HostWish | undefined,
  parent: AbortSignal,
): Promise<(Moment & { readonly failure?: Failure }) | undefined> {
  if (wish === undefined) return undefined;
  const late = () =>
    new FleetError("DEADLINE_EXCEEDED", `host ${wish.host.hostName} did not answer within ${hostMs} ms`);
  try {
    return await withDeadline({ ms: hostMs, clock, parent, late }, async (signal) => {
      let last: Moment | undefined;
      for await (const moment of figures.moments(wish, signal)) last = moment;
      return last;
    });
  } catch (error) {
    parent.throwIfAborted();
    if (!(error instanceof FleetError)) throw error;
    return { containers: [], host: undefined, failure: failureOf(wish.host, error) };
  }
}

async function* streamStats(parts: StatsServiceParts, request: StreamStatsRequest, context: HandlerContext) {
  const call = callSignal(context.signal);
  const scope = linkSignal(call.signal);
  try {
    const responses = new FollowedHosts(parts, request, context, scope.signal).responses();
    for await (const response of withHeartbeats(responses, { clock: parts.clock, everyMs: heartbeatMs })) {
      yield response ?? {};
    }
  } finally {
    scope.abort(new FleetError("CANCELLED", "the call has ended"));
    scope.release();
    call.release();
  }
}

function stepsOf(
  parts: StatsServiceParts,
  { selector, includeHosts }: StatsRequest,
  { values }: HandlerContext,
  interval: Duration | undefined,
) {
  const scope = new StatsScope(parts.inventory, selector, seenBy(values));
  return { scope, figures: new HostFigures(parts, { scope, includeHosts, interval, values }) };
}

/** The hosts that one call follows, those that come later included. */
class FollowedHosts {
  readonly #parts: StatsServiceParts;
  readonly #signal: AbortSignal;
  readonly #sees: HostTest;
  readonly #scope: StatsScope;
  readonly #figures: HostFigures;
  readonly #followed = new Set<string>();
  readonly #merge = new Merge<Response>();

  constructor(
    parts: StatsServiceParts,
    request: StreamStatsRequest,
    context: HandlerContext,
    signal: AbortSignal,
  ) {
    const interval = request.interval ?? durationFromMs(usualIntervalMs);
    const { scope, figures } = stepsOf(parts, request, context, interval);
    this.#parts = parts;
    this.#signal = signal;
    this.#sees = seenBy(context.values);
    this.#scope = scope;
    this.#figures = figures;
  }

  responses(): AsyncIterable<Response> {
    this.#add();
    void this.#search();
    return this.#merge.read();
  }

  /** Throws HOST_NOT_FOUND, and INVALID_ARGUMENT when there are too many. */
  #add(): void {
    const hosts = this.#scope.hosts();
    if (hosts.length > maxHosts) throw tooMany(hosts.length);
    for (const host of hosts) {
      if (this.#followed.has(host.hostId)) continue;
      this.#followed.add(host.hostId);
      this.#merge.add(this.#follow(host));
    }
  }

  async #search(): Promise<void> {
    try {
      for (;;) {
        await this.#parts.clock.sleep(searchMs, this.#signal);
        this.#add();
      }
    } catch {
      // The call has ended, a host of the selector is gone, or there are too many: what is being read goes on.
    } finally {
      this.#merge.seal();
    }
  }

  async *#follow(host: HostView): AsyncGenerator<Response, void> {
    let told: string | undefined;
    const { inventory } = this.#parts;
    const shown = linkSignal(this.#signal);
    try {
      endWhenHidden(inventory, { host, sees: this.#sees, scope: shown });
      for (let wish = this.#scope.of(host.hostId); wish !== undefined; wish = this.#scope.of(host.hostId)) {
        try {
          for await (const moment of this.#untilOther(wish, shown.signal)) {
            told = undefined;
            yield responseOf(wish.host, moment);
          }
        } catch (error) {
          this.#signal.throwIfAborted();
          if (!(error instanceof FleetError)) throw error;
          if (shown.signal.aborted) break;
          if (told !== error.reason) yield unanswered(wish.host, error);
          told = error.reason;
          await this.#parts.clock.sleep(retryMs, this.#signal);
        }
      }
      yield inventory.host(host.hostId, this.#sees) === undefined
        ? unanswered(host, hostNotFound(host.hostName))
        : responseOf(host, { containers: [], host: undefined });
    } finally {
      shown.abort(new FleetError("CANCELLED", "the host is followed no more"));
      shown.release();
      this.#followed.delete(host.hostId);
    }
  }

  /** Until other containers of the host are meant. An agent whose stream just ends is taken for one that is not there. */
  async *#untilOther(wish: HostWish, signal: AbortSignal): AsyncGenerator<Moment, void> {
    for await (const moment of this.#figures.moments(wish, signal)) {
      yield moment;
      if (isOther(wish, this.#scope.of(wish.host.hostId))) return;
    }
    throw new FleetError("AGENT_DISCONNECTED", "the agent ended the stream");
  }
}

function isOther({ ids }: HostWish, now: HostWish | undefined): boolean {
  return now === undefined || (ids !== undefined && ids.symmetricDifference(now.ids ?? new Set()).size > 0);
}

function responseOf(host: HostView, { containers, host: figures }: Moment): Response {
  return { source: referenceTo(host), containers: [...containers], ...(figures && { host: figures }) };
}

function unanswered(host: HostView, error: FleetError): Response {
  return { source: referenceTo(host, false), failure: failureOf(host, error) };
}

function failureOf(host: HostView, { reason, message }: FleetError): Failure {
  return { host: referenceTo(host, false), reason, message };
}

function tooMany(count: number): FleetError {
  const description = `finds ${count} hosts, and a stream may measure ${maxHosts}; narrow it down`;
  return new FleetError("INVALID_ARGUMENT", `selector: ${description}`, {
    violations: [{ field: "selector", description }],
  });
}
