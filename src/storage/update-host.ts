import type { Transaction } from "./database.ts";
import { HostEntity } from "./entities/host.ts";
import { findHosts } from "./host-rows.ts";
import type { HostRecord, NewEvent } from "./records.ts";
import type { HostChange, HostUpdate } from "./fleet-repository.ts";

/** Changes a host's name or labels inside a transaction; see `FleetRepository.update`. */
export async function updateHost(
  { em, insertEvents }: Transaction,
  hostId: string,
  { name, labels }: HostChange,
  events: (host: HostRecord, previousName: string) => readonly NewEvent[],
): Promise<HostUpdate> {
  // Changes nothing, but from here on nobody else writes before this transaction ends.
  await em.nativeUpdate(HostEntity, { id: hostId }, { id: hostId });
  const [before] = await findHosts(em, { host: { id: hostId } }, 1);
  if (before === undefined) {
    return { kind: "refused", cause: "UNKNOWN" };
  }
  if (name !== undefined && (await em.count(HostEntity, { name, id: { $ne: hostId } })) > 0) {
    return { kind: "refused", cause: "NAME_IN_USE" };
  }
  const host = {
    ...before,
    ...(name === undefined ? {} : { name }),
    ...(labels === undefined ? {} : { labels }),
  };
  await em.nativeUpdate(HostEntity, { id: hostId }, { name: host.name, labels: host.labels });
  await insertEvents(events(host, before.name));
  return { kind: "updated", host };
}
