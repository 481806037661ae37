import type { HostRecord, TokenRecord } from "./records.ts";
import type { EnrolmentRefusal, EnrolmentResult } from "./fleet-repository.ts";

/** Ends the transaction of an enrolment that is refused, so that nothing of it remains. */
export class EnrolmentRefused extends Error {
  override readonly name = "EnrolmentRefused";
  readonly result: EnrolmentResult & { readonly kind: "refused" };

  constructor(cause: EnrolmentRefusal, token?: TokenRecord, existing?: HostRecord) {
    super(`enrolment refused: ${cause}`);
    this.result = { kind: "refused", cause, token, existing };
  }
}
