import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { Storage } from "../../storage/storage.ts";

/** How long a caller's key stands for its command, docs/protocol.md "Commands". */
export const keyLifetimeMs = 24 * 60 * 60_000;

/** The part of a request that tells whether it is the same one again. */
export interface KeyedRequest {
  readonly caller: string;
  /** Empty: every request is a new one. */
  readonly requestId: string;
  readonly requestDigest: Uint8Array;
}

interface Admission {
  readonly digest: Uint8Array;
  readonly commandId: Promise<string>;
}

/** Callers' keys: the same key with the same request is the same command, for 24 hours, also while it is just being created. */
export class RequestKeys {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #admissions = new Map<string, Admission>();

  constructor(parts: { storage: Storage; clock: Clock }) {
    this.#storage = parts.storage;
    this.#clock = parts.clock;
  }

  /** The id of the command that the request stands for; creates it when there is none. Rejects with REQUEST_ID_REUSED for another request with a key in use. */
  async commandFor(request: KeyedRequest, create: () => Promise<string>): Promise<string> {
    if (request.requestId === "") return create();
    const key = JSON.stringify([request.caller, request.requestId]);
    const known = this.#admissions.get(key);
    if (known !== undefined) {
      checkSame(request, known.digest);
      return known.commandId;
    }
    const commandId = this.#storedOr(request, create);
    this.#admissions.set(key, { digest: request.requestDigest, commandId });
    try {
      return await commandId;
    } finally {
      this.#admissions.delete(key);
    }
  }

  async #storedOr(request: KeyedRequest, create: () => Promise<string>): Promise<string> {
    const since = this.#clock.now() - keyLifetimeMs;
    const stored = await this.#storage.commands.findByRequest(request.caller, request.requestId, since);
    if (stored === undefined) return create();
    checkSame(request, stored.requestDigest);
    return stored.id;
  }
}

function checkSame(request: KeyedRequest, digest: Uint8Array): void {
  if (Buffer.compare(request.requestDigest, digest) === 0) return;
  throw requestIdReused(request.requestId);
}

/** The caller's key stands for another request. */
export function requestIdReused(requestId: string): FleetError {
  return new FleetError(
    "REQUEST_ID_REUSED",
    `request id ${JSON.stringify(requestId)} stands for another request already; choose a new one`,
    { metadata: { request_id: requestId } },
  );
}
