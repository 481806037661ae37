import type { Container } from "../../gen/fairlead/container/v1/container_pb.js";

/** Which host, and whose agent. */
export interface HostIdentity {
  readonly hostId: string;
  /** Display name, unique in the fleet. */
  readonly hostName: string;
  readonly agentId: string;
  /** What people labelled it with. Undefined, where a host is set: as before. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** A host as the inventory sees it now. Does not change afterwards. */
export interface HostView extends HostIdentity {
  /** Its agent holds a session. When false, everything else is as of the last time it did. */
  readonly online: boolean;
  /** Its agent reaches the engine. */
  readonly engineAvailable: boolean;
  readonly containerCount: number;
  readonly runningContainerCount: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a host exists for somebody. */
export type HostTest = (host: HostView) => boolean;

/** For whom all of them do. */
export const everyHost: HostTest = () => true;

/** A container and where it lives. The container's own `host` field is not to be trusted: it is what the agent said. */
export interface LocatedContainer {
  readonly host: HostView;
  readonly container: Container;
}
