import { readFile } from "node:fs/promises";
import { hostname } from "node:os";

/** What tells a process which container it runs in. */
export interface ContainerTraces {
  /** Content of /proc/self/mountinfo. */
  readonly mountInfo: string;
  /** Content of /proc/self/cgroup. */
  readonly cgroup: string;
  readonly hostname: string;
}

const fullId = /[0-9a-f]{64}/;

// An engine mounts these files of a container's own folder into it. Any other mount below that folder is one of the
// host's, which sees those of all containers.
const mountedByEngine = /\s\S*\/([0-9a-f]{64})\/\S*\s\/etc\/(?:hostname|hosts|resolv\.conf)\s/;

/**
 * The container that the process runs in: its full id, or the twelve digits that it has as host name. Undefined when it
 * runs in none.
 */
export function ownContainerIdFrom(traces: ContainerTraces): string | undefined {
  const mounted = mountedByEngine.exec(traces.mountInfo)?.[1];
  if (mounted !== undefined) return mounted;
  const grouped = fullId.exec(traces.cgroup)?.[0];
  if (grouped !== undefined) return grouped;
  return /^[0-9a-f]{12}$/.test(traces.hostname) ? traces.hostname : undefined;
}

/** Looks at the system's own traces. Never rejects: what cannot be read tells nothing. */
export async function findOwnContainerId(): Promise<string | undefined> {
  const [mountInfo, cgroup] = await Promise.all([readTrace("mountinfo"), readTrace("cgroup")]);
  return ownContainerIdFrom({ mountInfo, cgroup, hostname: hostname() });
}

async function readTrace(name: string): Promise<string> {
  return await readFile(`/proc/self/${name}`, "utf8").catch(() => "");
}
