import type { Command } from "commander";
import { actionToJson, addActionOptions, printQueued, targetOf } from "../container-action.ts";
import type { ActionOptions } from "../container-action.ts";
import { clientAction } from "../invocation.ts";
import type { CommandLine } from "../invocation.ts";

/** `fairlead rename`. Prints nothing, as docker does, but for the id of a queued command. */
export function addRenameCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("rename")
    .summary("give a container another name")
    .argument("<container>", "NAME, ID or HOST/NAME")
    .argument("<new-name>", "its new name");
  addActionOptions(command).action(
    clientAction<ActionOptions>(line, async (invocation, options, [name = "", newName = ""]) => {
      const { client, call } = invocation;
      const target = targetOf(invocation, name, options);
      const answer = await client.containers.renameContainer({ ...target, newName }, call);
      if (invocation.json) {
        invocation.printJson(actionToJson(answer));
      } else if (answer.queued) {
        printQueued(invocation, answer.commandId);
      }
    }),
  );
}
