import { create, type MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type OperationOutcome, OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { Container } from "../../gen/fairlead/container/v1/container_pb.js";
import { ContainerService } from "../../gen/fairlead/container/v1/container_service_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { keyLifetimeMs, requestIdReused } from "../dispatch/request-keys.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { everyHost, type HostTest } from "../inventory/host-view.ts";
import { actorOf, seenBy } from "./calling.ts";
import { callSignal } from "./call-signal.ts";
import { messageDigest } from "./canonical-digest.ts";
import {
  type CommandMethod,
  type CommandRequest,
  type CommandResponse,
  containerOperations,
} from "./container-operations.ts";
import { type ContainerTarget, containerTarget, targetOfCommand } from "./container-target.ts";
import { deliveryOptions } from "./delivery-options.ts";
import { msOrUnset } from "./durations.ts";
import { locatedContainer } from "./located-container.ts";

/** What the commands on containers need. */
export interface ContainerCommandParts {
  readonly inventory: FleetInventory;
  readonly dispatcher: Pick<Dispatcher, "dispatch">;
  readonly storage: { readonly commands: Pick<Storage["commands"], "findByRequest"> };
  readonly clock: Clock;
}

/** The handlers of all methods that an agent carries out. */
export type ContainerCommands = Pick<ServiceImpl<typeof ContainerService>, CommandMethod>;

const noDigest = new Uint8Array(0);

/** The handlers of all methods that an agent carries out: one for all, told apart by the table of operations. */
export function createContainerCommands(parts: ContainerCommandParts): ContainerCommands {
  const methods = Object.keys(containerOperations) as CommandMethod[];
  const handlers = methods.map((method) => [
    method,
    (request: CommandRequest<typeof method>, context: HandlerContext) =>
      carryOut(parts, method, request, context),
  ]);
  return Object.fromEntries(handlers) as ContainerCommands;
}

async function carryOut<Method extends CommandMethod>(
  parts: ContainerCommandParts,
  method: Method,
  request: CommandRequest<Method>,
  context: HandlerContext,
): Promise<CommandResponse<Method>> {
  const { operation, graceMs, timeoutMs = requestTimeoutMs, response } = containerOperations[method];
  const { name: caller, keyId, address } = actorOf(context.values);
  const requestId = "requestId" in request ? request.requestId : "";
  const target = await findTarget(parts, { caller, requestId, sees: seenBy(context.values) }, request);
  const call = callSignal(context.signal);
  const { commandId, outcome } = await parts.dispatcher
    .dispatch({
      host: target.host,
      operation: create(OperationSchema, { operation: operation(request, target.container) }),
      container: target.container,
      containerName: target.known?.name,
      timeoutMs: timeoutMs(request),
      graceMs: graceMs?.(request),
      ...("offlinePolicy" in request
        ? deliveryOptions(request, parts.clock.now(), target.isRepeat === true)
        : {}),
      caller,
      callerKeyId: keyId,
      callerAddress: address,
      requestId,
      requestDigest: requestId === "" ? noDigest : digestOf(method, request),
      signal: call.signal,
    })
    .finally(call.release);
  return response({ commandId, outcome, container: containerAfter(parts.inventory, target, outcome) });
}

function requestTimeoutMs({ timeout }: CommandRequest<CommandMethod>): number | undefined {
  return msOrUnset(timeout);
}

async function findTarget(
  { inventory, storage, clock }: ContainerCommandParts,
  { caller, requestId, sees }: { caller: string; requestId: string; sees: HostTest },
  request: CommandRequest<CommandMethod>,
): Promise<ContainerTarget> {
  if (requestId !== "") {
    const since = clock.now() - keyLifetimeMs;
    const earlier = await storage.commands.findByRequest(caller, requestId, since);
    if (earlier !== undefined) {
      if (!canSee(inventory, earlier, sees)) {
        throw requestIdReused(requestId);
      }
      return targetOfCommand(inventory, earlier);
    }
  }
  return containerTarget(inventory, request, sees);
}

// The host of a command may be gone, and the command may be asked for all the same by whoever all hosts exist for.
function canSee(inventory: FleetInventory, { hostId }: CommandRecord, sees: HostTest): boolean {
  return sees === everyHost || inventory.host(hostId, sees) !== undefined;
}

// Over the whole request, its timeout included: a repeat is the same message again. The name of the request's type in
// the digest keeps a stop apart from a start of the same container.
function digestOf<Method extends CommandMethod>(method: Method, request: CommandRequest<Method>): Uint8Array {
  const { input } = ContainerService.method[method];
  return messageDigest(input, request as MessageShape<typeof input>);
}

function containerAfter(
  inventory: FleetInventory,
  { host, known }: ContainerTarget,
  outcome: OperationOutcome | undefined,
): Container | undefined {
  const container = (outcome === undefined ? undefined : containerOf(outcome)) ?? known;
  const view = inventory.host(host.hostId) ?? { ...host, online: false };
  return container === undefined ? undefined : locatedContainer(container, view);
}

function containerOf({ detail }: OperationOutcome): Container | undefined {
  if (detail.case === "container") return detail.value;
  return detail.case === "inspection" ? detail.value.container : undefined;
}
