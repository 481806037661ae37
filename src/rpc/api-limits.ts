/** How much of the API one caller, and all together, may use at once. */
export interface ApiLimits {
  /** Calls of one key in a second, in the long run. 0: without limit. */
  readonly callsPerSecond: number;
  /** Calls of one key at once, after a while without. */
  readonly callBurst: number;
  /** Calls that are open at once: those that wait, that follow something, and that are being answered. */
  readonly maxOpenCalls: number;
  /** The same, of those who need not say who they are: calls of the health service. */
  readonly maxOpenPublicCalls: number;
}

/** The defaults. */
export const defaultApiLimits: ApiLimits = {
  callsPerSecond: 1_000,
  callBurst: 5_000,
  maxOpenCalls: 10_000,
  maxOpenPublicCalls: 1_024,
};
