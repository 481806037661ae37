import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import { OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type {
  CopyFromRequest,
  CopyFromResponseSchema,
  CopyToRequest,
  CopyToStart,
  FileService,
  StatPathRequest,
} from "../../gen/fairlead/container/v1/file_service_pb.js";
import { linkSignal } from "../../resilience/signals.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { callSignal } from "./call-signal.ts";
import { actorOf, seenBy } from "./calling.ts";
import { endWhenHidden } from "./end-when-hidden.ts";
import { FileCopy, type FileCopyParts, type FileOwner } from "./file-copy.ts";

/** What the file service needs. */
export interface FileServiceParts extends FileCopyParts {
  readonly inventory: FleetInventory;
  readonly dispatcher: Pick<Dispatcher, "dispatch">;
}

type CopyFromMessage = MessageInitShape<typeof CopyFromResponseSchema>;

const noDigest = new Uint8Array(0);

/** Copies files out of containers and into them, at the speed of the slower side. */
export function createFileService(parts: FileServiceParts): ServiceImpl<typeof FileService> {
  return {
    copyFrom: (request, context) => copyFrom(parts, request, context),
    copyTo: (requests, context) => copyTo(parts, requests, context),
    statPath: (request, context) => statPath(parts, request, context),
  };
}

async function* copyFrom(
  parts: FileServiceParts,
  request: CopyFromRequest,
  { signal, values }: HandlerContext,
): AsyncGenerator<CopyFromMessage, void> {
  const call = callSignal(signal);
  const scope = linkSignal(call.signal);
  try {
    const owner = ownerOf(parts, request, values);
    endWhenHidden(parts.inventory, { host: owner.host, sees: seenBy(values), scope });
    const copy = await FileCopy.open(parts, {
      owner,
      direction: "OUT",
      path: request.path,
      operation: { case: "copyOut" },
      actor: actorOf(values),
      signal: scope.signal,
    });
    for await (const message of copy.out()) yield { message };
  } finally {
    scope.abort(new FleetError("CANCELLED", "the call has ended"));
    scope.release();
    call.release();
  }
}

async function copyTo(
  parts: FileServiceParts,
  requests: AsyncIterable<CopyToRequest>,
  { signal, values }: HandlerContext,
) {
  const call = callSignal(signal);
  const scope = linkSignal(call.signal);
  try {
    const iterator = requests[Symbol.asyncIterator]();
    const start = startOf(await iterator.next());
    const { path, copyOwners, allowOverwriteKind } = start;
    const owner = ownerOf(parts, start, values);
    endWhenHidden(parts.inventory, { host: owner.host, sees: seenBy(values), scope });
    const copy = await FileCopy.open(parts, {
      owner,
      direction: "IN",
      path,
      operation: { case: "copyIn", copyOwners, allowOverwriteKind },
      actor: actorOf(values),
      signal: scope.signal,
    });
    return { archiveBytes: BigInt(await copy.in(archiveOf(iterator))) };
  } finally {
    scope.abort(new FleetError("CANCELLED", "the call has ended"));
    scope.release();
    call.release();
  }
}

async function statPath(
  parts: FileServiceParts,
  request: StatPathRequest,
  { signal, values }: HandlerContext,
) {
  const { host, containerId, containerName } = ownerOf(parts, request, values);
  const { name, keyId, address } = actorOf(values);
  const call = callSignal(signal);
  try {
    const value = { container: containerId, path: request.path };
    const { outcome } = await parts.dispatcher.dispatch({
      host,
      container: containerId,
      containerName,
      operation: create(OperationSchema, { operation: { case: "statPath", value } }),
      timeoutMs: undefined,
      caller: name,
      callerKeyId: keyId,
      callerAddress: address,
      requestId: "",
      requestDigest: noDigest,
      signal: call.signal,
    });
    if (outcome?.detail.case === "path") return { facts: outcome.detail.value };
    throw new FleetError("INVALID_RESULT", "the agent did not say what is at the path");
  } finally {
    call.release();
  }
}

function ownerOf(
  { inventory }: FileServiceParts,
  request: { readonly container: string; readonly host: string },
  values: HandlerContext["values"],
): FileOwner {
  const { host, containerId, container } = inventory.resolve(request.container, request.host, seenBy(values));
  return {
    host,
    containerId: containerId ?? request.container,
    containerName: container?.name ?? request.container,
  };
}

function startOf(first: IteratorResult<CopyToRequest>): CopyToStart {
  const message = first.done === true ? undefined : first.value.message;
  if (message?.case === "start") return message.value;
  const description = "must be the first message, exactly once";
  throw new FleetError("INVALID_ARGUMENT", `start: ${description}`, {
    violations: [{ field: "start", description }],
  });
}

async function* archiveOf(requests: AsyncIterator<CopyToRequest>): AsyncGenerator<Uint8Array, void> {
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    const { message } = next.value;
    if (message.case === "start") throw new FleetError("INVALID_ARGUMENT", "start: a second one");
    if (message.case === "archive") yield message.value;
  }
}
