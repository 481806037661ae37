import type { Command } from "commander";
import { ContainerSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import { ProcessTableSchema } from "../../gen/fairlead/container/v1/process_table_pb.js";
import { parseContainer } from "../grammar/container-reference.ts";
import { addLookOptions, type LookOptions, timeoutPart } from "../look-options.ts";
import { clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";

/** `fairlead top`: what `ps` on the host tells of a container's processes. */
export function addTopCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("top")
    .summary("show the processes of a container")
    .argument("<container>", "NAME, ID or HOST/NAME")
    .argument("[ps-options...]", 'options for ps, for example "aux" or "-o pid,comm"')
    // What comes after the container belongs to ps, as with docker.
    .passThroughOptions()
    .addHelpText("after", examples);
  addLookOptions(command).action(clientAction<LookOptions>(line, printProcesses));
}

async function printProcesses(
  invocation: Invocation,
  options: LookOptions,
  [name = "", ...words]: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const { table, container } = await client.containers.listProcesses(
    { ...parseContainer(name, options.host), ...timeoutPart(options), psOptions: words.join(" ") },
    call,
  );
  if (table === undefined) {
    return;
  }
  if (invocation.json) {
    const seen = container && messageToJson(ContainerSchema, container);
    invocation.printJson({ container: seen, table: messageToJson(ProcessTableSchema, table) });
    return;
  }
  const rows = table.processes.map(({ values }) => values.map(escapeText));
  invocation.print(formatTable(table.titles.map(escapeText), rows));
  if (table.truncated) {
    invocation.hint("fairlead: there is more, which was cut");
  }
}

const examples = `
Examples:
  fairlead top web
  fairlead top web-1/web aux
  fairlead top web -o pid,etime,args
`;
