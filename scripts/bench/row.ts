/** One thing that a row measures, and what it must reach. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly must?: number;
  readonly hope?: number;
  /** What the bounds are for: the ratio to the floor, or the value itself. Default: the ratio. */
  readonly bounds?: "ratio" | "value";
}

/** One side of a row: how it is measured once, and how it is taken down. */
export interface Arm {
  /** A value for each figure of the row, in their order; the floor may leave out those at the end. */
  measure(): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** How much time a run has, and what it keeps. */
export interface RunSettings {
  readonly quick: boolean;
  /** Where the product's processes write their profiles. */
  readonly profileFolder: string | undefined;
}

/** A line of the table, with its floor and its budget. */
export interface Row {
  /** For `--only`. */
  readonly key: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  /** Undefined: there is nothing to compare it with, and its budget is absolute. */
  readonly floor: { readonly name: string; open(settings: RunSettings): Promise<Arm> } | undefined;
  openProduct(settings: RunSettings): Promise<Arm>;
}
