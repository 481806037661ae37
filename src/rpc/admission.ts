import type { DescMethod } from "@bufbuild/protobuf";
import { FleetError } from "../domain/errors.ts";
import { Role } from "../gen/fairlead/access/v1/role_pb.js";
import type { Clock } from "../resilience/clock.ts";
import { FairShare } from "../resilience/fair-share.ts";
import { RateLimit } from "../resilience/rate-limit.ts";
import { addressSite } from "./address-site.ts";
import type { ApiLimits } from "./api-limits.ts";
import type { Authenticate, Caller } from "./caller.ts";
import { checkRole, requiredRole } from "./required-role.ts";

/** What became of a call at the door. */
export type Admitted =
  | { readonly kind: "admitted"; readonly caller: Caller; readonly leave: () => void }
  /** `caller`: who it is, where that was found out. */
  | { readonly kind: "refused"; readonly caller: Caller | undefined; readonly reason: unknown };

/** What an admission needs. */
export interface AdmissionParts {
  readonly authenticate: Authenticate;
  readonly limits: ApiLimits;
  readonly clock: Clock;
}

/** What a call to a public RPC is made by. */
const anyone: Caller = { name: "anyone", role: Role.PUBLIC };

/**
 * The door of the API: who calls, whether they may, and whether there is room, by the headers of a request alone. Nothing of its body is looked
 * at before.
 */
export class Admission {
  readonly #authenticate: Authenticate;
  readonly #rate: RateLimit;
  readonly #calls: FairShare;
  readonly #publicCalls: FairShare;

  constructor({ authenticate, limits, clock }: AdmissionParts) {
    this.#authenticate = authenticate;
    this.#rate = new RateLimit({ perSecond: limits.callsPerSecond, burst: limits.callBurst }, clock);
    this.#calls = new FairShare(limits.maxOpenCalls);
    this.#publicCalls = new FairShare(limits.maxOpenPublicCalls);
  }

  /** How many calls are open. */
  get openCalls(): number {
    return this.#calls.taken + this.#publicCalls.taken;
  }

  /**
   * Lets a call in, which holds its place until `leave` is called, or says why not: UNAUTHENTICATED, PERMISSION_DENIED, RATE_LIMITED, TOO_MANY_CALLS,
   * or whatever authentication fails with. Never rejects.
   */
  async admit(method: DescMethod, headers: Headers, address: string): Promise<Admitted> {
    let caller: Caller | undefined;
    try {
      if (requiredRole(method) === Role.PUBLIC) {
        return { kind: "admitted", caller: anyone, leave: enter(this.#publicCalls, addressSite(address)) };
      }
      caller = await this.#authenticate(headers, address);
      checkRole(method, caller);
      this.#count(caller);
      return { kind: "admitted", caller, leave: enter(this.#calls, caller.account) };
    } catch (reason) {
      return { kind: "refused", caller, reason };
    }
  }

  /** Lets somebody read what is no RPC, and is about the fleet as a whole. Rejects as `admit` refuses. */
  async admitReader(headers: Headers, address: string): Promise<void> {
    const caller = await this.#authenticate(headers, address);
    if (caller.role < Role.VIEWER) throw new FleetError("PERMISSION_DENIED", "this needs the role viewer");
    if (caller.scope !== undefined) {
      throw new FleetError("PERMISSION_DENIED", "a key that is limited to some hosts may not read this");
    }
    this.#count(caller);
  }

  #count({ account }: Caller): void {
    const waitMs = account === undefined ? 0 : this.#rate.take(account);
    if (waitMs > 0) {
      throw new FleetError("RATE_LIMITED", "too many calls with this key; leave some time between them", {
        retryAfterMs: Math.ceil(waitMs),
      });
    }
  }
}

const comeBackMs = 1_000;

function enter(places: FairShare, name: string | undefined): () => void {
  const leave = places.enter(name);
  if (leave !== undefined) return leave;
  throw new FleetError(
    "TOO_MANY_CALLS",
    "too many calls are open at once; end some, or try again in a moment",
    { retryAfterMs: comeBackMs },
  );
}
