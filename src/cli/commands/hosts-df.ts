import type { Command } from "commander";
import {
  type DiskUsage,
  type DiskUsageGroup,
  DiskUsageSchema,
} from "../../gen/fairlead/host/v1/disk_usage_pb.js";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { messageToJson } from "../output/json.ts";
import { decimalSize } from "../output/sizes.ts";
import { formatTable } from "../output/table.ts";

/** `fairlead hosts df`: what `docker system df` tells of a host. */
export function addHostsDfCommand(hosts: Command, line: CommandLine): void {
  const df = hosts
    .command("df")
    .summary("print what a host's images, containers, volumes and build cache take on its disk")
    .argument("<host>", "name or id");
  addClientOptions(df).action(clientAction(line, printDiskUsage));
}

async function printDiskUsage(
  invocation: Invocation,
  _options: object,
  names: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const { usage } = await client.hosts.getDiskUsage({ host: names[0] ?? "" }, call);
  if (usage === undefined) return;
  if (invocation.json) {
    invocation.printJson(messageToJson(DiskUsageSchema, usage));
    return;
  }
  invocation.print(formatTable(["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], rowsOf(usage)));
}

function rowsOf({ images, containers, volumes, buildCache }: DiskUsage): string[][] {
  return [
    rowOf("Images", images),
    rowOf("Containers", containers),
    rowOf("Local Volumes", volumes),
    rowOf("Build Cache", buildCache),
  ];
}

function rowOf(title: string, group: DiskUsageGroup | undefined): string[] {
  const { totalCount = 0, activeCount = 0, sizeBytes = 0n, reclaimableBytes = 0n } = group ?? {};
  const share = sizeBytes === 0n ? "" : ` (${(reclaimableBytes * 100n) / sizeBytes}%)`;
  const reclaimable = `${decimalSize(reclaimableBytes)}${share}`;
  return [title, `${totalCount}`, `${activeCount}`, decimalSize(sizeBytes), reclaimable];
}
