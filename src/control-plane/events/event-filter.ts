/** Which events somebody wants. What is left out does not filter; the values of one filter are alternatives. */
export interface EventFilter {
  readonly types?: readonly number[];
  readonly hostIds?: readonly string[];
  /** Full id or name of a container. */
  readonly container?: string;
  readonly commandId?: string;
}
