import type { Command } from "commander";
import { ContainerSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import {
  FilesystemChange_Kind,
  FilesystemChangesSchema,
} from "../../gen/fairlead/container/v1/filesystem_change_pb.js";
import { parseContainer } from "../grammar/container-reference.ts";
import { addLookOptions, type LookOptions, timeoutPart } from "../look-options.ts";
import { clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";

/** Docker's letters. */
const letters: Readonly<Record<FilesystemChange_Kind, string>> = {
  [FilesystemChange_Kind.UNSPECIFIED]: "?",
  [FilesystemChange_Kind.MODIFIED]: "C",
  [FilesystemChange_Kind.ADDED]: "A",
  [FilesystemChange_Kind.DELETED]: "D",
};

/** `fairlead diff`: one line for each file that is not as the image has it, as docker prints it. */
export function addDiffCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("diff")
    .summary("show what differs between a container's files and its image")
    .description("Prints A for what was added, C for what was changed, D for what was deleted.")
    .argument("<container>", "NAME, ID or HOST/NAME");
  addLookOptions(command).action(clientAction<LookOptions>(line, printChanges));
}

async function printChanges(
  invocation: Invocation,
  options: LookOptions,
  [name = ""]: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const request = { ...parseContainer(name, options.host), ...timeoutPart(options) };
  const { changes, container } = await client.containers.listChanges(request, call);
  if (changes === undefined) {
    return;
  }
  if (invocation.json) {
    const seen = container && messageToJson(ContainerSchema, container);
    invocation.printJson({ container: seen, ...asObject(messageToJson(FilesystemChangesSchema, changes)) });
    return;
  }
  invocation.print(
    changes.changes.map(({ path, kind }) => `${letters[kind] ?? "?"} ${escapeText(path)}\n`).join(""),
  );
  if (changes.truncated) {
    invocation.hint("fairlead: there is more, which was cut");
  }
}

function asObject(value: unknown): object {
  return value as object;
}
