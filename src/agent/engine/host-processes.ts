import { readdir, readFile } from "node:fs/promises";

/**
 * Whether this process may signal a process of that container by its number on this host: the process is seen here, it is of
 * that container, and we are root.
 */
export async function isWithinReach(pid: number, containerId: string): Promise<boolean> {
  return process.getuid?.() === 0 && pid > 0 && isOfContainer(pid, containerId);
}

/** Signals the process group that the process leads. False: it is not there any more. */
export async function signalGroup(leader: number, containerId: string, signal: number): Promise<boolean> {
  return (await isOfContainer(leader, containerId)) && send(-leader, signal);
}

/** Signals whatever is in the session that the process leads, or led. How many there were. */
export async function signalSession(leader: number, containerId: string, signal: number): Promise<number> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 1);
  let count = 0;
  for (const pid of pids) {
    if ((await sessionOf(pid)) === leader && (await isOfContainer(pid, containerId)) && send(pid, signal)) {
      count += 1;
    }
  }
  return count;
}

/** The path of its control group has the container's id, whatever driver Docker uses for them. */
async function isOfContainer(pid: number, containerId: string): Promise<boolean> {
  return (await readIfThere(`/proc/${pid}/cgroup`)).includes(containerId);
}

/** Undefined when it is gone, or is a zombie: that one hears nothing. */
async function sessionOf(pid: number): Promise<number | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  // Behind the name, which may hold anything: state, parent, group, session.
  const [state, , , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" ? undefined : Number(session);
}

function send(pid: number, signal: number): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}
