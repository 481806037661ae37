import type { Command } from "commander";
import { actionToJson, addActionOptions, targetOf } from "../container-action.ts";
import type { ActionOptions } from "../container-action.ts";
import { clientAction } from "../invocation.ts";
import type { CommandLine } from "../invocation.ts";

/** `fairlead rename`. Prints nothing, as docker does. */
export function addRenameCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("rename")
    .summary("give a container another name")
    .argument("<container>", "NAME, ID or HOST/NAME")
    .argument("<new-name>", "its new name");
  addActionOptions(command).action(
    clientAction<ActionOptions>(line, async (invocation, options, [name = "", newName = ""]) => {
      const { client, call } = invocation;
      const answer = await client.containers.renameContainer({ ...targetOf(name, options), newName }, call);
      if (invocation.json) {
        invocation.printJson(actionToJson(answer));
      }
    }),
  );
}
