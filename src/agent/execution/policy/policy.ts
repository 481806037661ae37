/** Whether something may be done. */
export type Verdict = "allow" | "deny";

/** A label of a container, by its key alone or with its value. */
export interface LabelSelector {
  readonly key: string;
  /** Undefined: whatever it is. */
  readonly value: string | undefined;
}

/** Ports of the host, both ends included. 0 to 0: any port that the engine finds free. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  /** Undefined: all of them. */
  readonly protocol: PortProtocol | undefined;
}

/** Protocols of ports. */
export type PortProtocol = "tcp" | "udp" | "sctp";

/** What a container may be made of. */
export interface CreateRules {
  readonly privileged: Verdict;
  readonly hostNetwork: Verdict;
  /** With a list: only these paths of the host and what is below them. */
  readonly bindMounts: Verdict | readonly string[];
  /** Patterns, one of which the image must match. Undefined: any image. */
  readonly images: readonly string[] | undefined;
  /** With a list: only these ports of the host. */
  readonly publishedPorts: Verdict | readonly PortRange[];
}

/** What the owner of a host allows there. Plain data; `PolicyGate` decides by it. */
export interface Policy {
  /** Nothing that changes anything is done. */
  readonly readOnly: boolean;
  /** What holds for an operation that `operations` does not name. */
  readonly default: Verdict;
  /** By the operation's name in the schema. */
  readonly operations: ReadonlyMap<string, Verdict>;
  /** A container must have one of them. Undefined: it need not. */
  readonly onlyLabels: readonly LabelSelector[] | undefined;
  /** A container must have none of them. */
  readonly exceptLabels: readonly LabelSelector[];
  readonly create: CreateRules;
}

/** The policy of a host that has none: all is allowed. */
export const openPolicy: Policy = {
  readOnly: false,
  default: "allow",
  operations: new Map(),
  onlyLabels: undefined,
  exceptLabels: [],
  create: {
    privileged: "allow",
    hostNetwork: "allow",
    bindMounts: "allow",
    images: undefined,
    publishedPorts: "allow",
  },
};
