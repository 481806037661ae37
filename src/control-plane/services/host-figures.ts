import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import type { StatsSamples } from "../../gen/fairlead/agent/v1/data_stream_pb.js";
import { type Operation, OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type {
  ContainerSampleSchema,
  HostSampleSchema,
} from "../../gen/fairlead/container/v1/stats_service_pb.js";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { compareText } from "../inventory/order.ts";
import type { HostIdentity } from "../inventory/host-view.ts";
import type { DataStreams } from "../streams/data-streams.ts";
import { actorOf } from "./calling.ts";
import type { HostWish, StatsScope } from "./stats-scope.ts";

/** What asking a host for figures needs. */
export interface HostFiguresParts {
  readonly inventory: FleetInventory;
  readonly dataStreams: Pick<DataStreams, "open">;
}

/** What one caller wants of every host. */
export interface FiguresWish {
  readonly scope: StatsScope;
  readonly includeHosts: boolean;
  /** Undefined: once. */
  readonly interval: Duration | undefined;
  readonly values: HandlerContext["values"];
}

/** A container's figures. */
export type ContainerFigures = MessageInitShape<typeof ContainerSampleSchema>;

/** The figures of one host at one moment. */
export interface Moment {
  /** Ordered by name. */
  readonly containers: readonly ContainerFigures[];
  readonly host: MessageInitShape<typeof HostSampleSchema> | undefined;
}

// A command with more names would not fit into a frame; then all are measured, and the others left out here.
const maxNamed = 256;

/** Figures of the hosts of the fleet, as their agents measure them. */
export class HostFigures {
  readonly #parts: HostFiguresParts;
  readonly #wish: FiguresWish;

  constructor(parts: HostFiguresParts, wish: FiguresWish) {
    this.#parts = parts;
    this.#wish = wish;
  }

  /**
   * The figures of one host, moment after moment, or of one moment. Rejects as `DataStreams.open` does, with what the agent fails with, and
   * with the signal's reason.
   */
  async *moments(of: HostWish, signal: AbortSignal): AsyncGenerator<Moment, void> {
    const { name: caller, keyId, address } = actorOf(this.#wish.values);
    const { stream } = await this.#parts.dataStreams.open({
      host: of.host,
      container: "",
      operation: (ticket) => this.#operation(of, ticket),
      timeoutMs: undefined,
      caller,
      callerKeyId: keyId,
      callerAddress: address,
      signal,
    });
    let containers: ContainerFigures[] = [];
    for await (const message of stream.messages(signal)) {
      if (message.case !== "stats") continue;
      containers.push(...this.#samples(of, message.value));
      if (message.value.more) continue;
      yield this.#moment(of.host, containers, message.value);
      containers = [];
    }
  }

  #operation({ ids }: HostWish, ticket: Uint8Array): Operation {
    const all = ids === undefined || ids.size > maxNamed;
    const { includeHosts: includeHost, interval } = this.#wish;
    const value = {
      ticket,
      all,
      includeHost,
      containers: all ? [] : [...ids],
      ...(interval && { interval }),
    };
    return create(OperationSchema, { operation: { case: "openStats", value } });
  }

  #samples({ host, ids }: HostWish, { containers }: StatsSamples): ContainerFigures[] {
    return Object.entries(containers)
      .filter(([id]) => ids?.has(id) !== false)
      .flatMap(([id, stats]) => this.#sample(host, id, stats));
  }

  // One that the inventory has no more was removed.
  #sample(host: HostIdentity, id: string, stats: ContainerFigures["stats"]): ContainerFigures[] {
    const known = this.#parts.inventory.container(host.hostId, id);
    if (known === undefined) return [];
    return [{ host: referenceTo(host), containerId: id, containerName: known.name, stats: stats ?? {} }];
  }

  #moment(host: HostIdentity, measured: readonly ContainerFigures[], samples: StatsSamples): Moment {
    const seen = new Set(measured.map(({ containerId }) => containerId));
    const idle = this.#wish.scope.stopped(host.hostId).filter((id) => !seen.has(id));
    const containers = [...measured, ...idle.flatMap((id) => this.#sample(host, id, {}))];
    return {
      containers: containers.toSorted((one, other) =>
        compareText(one.containerName ?? "", other.containerName ?? ""),
      ),
      host: samples.host && { host: referenceTo(host), stats: samples.host },
    };
  }
}

/** A host whose agent has just answered, or not. */
export function referenceTo({ hostId, hostName }: HostIdentity, online = true) {
  return { id: hostId, name: hostName, online };
}
