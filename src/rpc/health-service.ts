import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
} from "../gen/grpc/health/v1/health_pb.js";
import { untilAborted } from "../resilience/signals.ts";
import type { HealthStates } from "./health.ts";

/**
 * The standard gRPC health service. The empty name is the whole server; the names of the services that it serves are
 * as the whole is; parts such as "storage" can be asked for by their names.
 */
export function createHealthService(
  states: HealthStates,
  served: () => Iterable<string>,
): ServiceImpl<typeof Health> {
  const statusOf = (service: string): ServingStatus | undefined => {
    const state = states.get(service) ?? ([...served()].includes(service) ? states.get("") : undefined);
    return state === undefined ? undefined : ServingStatus[state];
  };
  return {
    check({ service }) {
      const status = statusOf(service);
      if (status === undefined) throw new ConnectError(`nothing here is called "${service}"`, Code.NotFound);
      return { status };
    },
    list() {
      const names = ["", ...Object.keys(states.parts()), ...served()];
      const statuses = names.map((name) => {
        const status = statusOf(name) ?? ServingStatus.SERVICE_UNKNOWN;
        return [name, create(HealthCheckResponseSchema, { status })] as const;
      });
      return create(HealthListResponseSchema, { statuses: Object.fromEntries(statuses) });
    },
    async *watch({ service }, { signal }) {
      for await (const status of changes(states, () => statusOf(service), signal)) {
        yield { status: status ?? ServingStatus.SERVICE_UNKNOWN };
      }
    },
  };
}

/** What `read` says now, and again after each change that it shows. Ends with the signal's reason. */
async function* changes<Value>(states: HealthStates, read: () => Value, signal: AbortSignal) {
  let changed = Promise.withResolvers<void>();
  const forget = states.onChange(() => changed.resolve());
  try {
    let last: { value: Value } | undefined;
    for (;;) {
      const value = read();
      if (last === undefined || last.value !== value) yield value;
      last = { value };
      await untilAborted(changed.promise, signal);
      changed = Promise.withResolvers();
    }
  } finally {
    forget();
  }
}
