import { basename } from "node:path/posix";
import { parseScript, type ScriptCommand } from "./simulated-script.ts";
import { type SimulatedSurroundingsOfTool, toolOf } from "./simulated-tools.ts";

/** What a simulated process does with its inputs and outputs. Resolves to its exit code, or rejects once it was ended. */
export type SimulatedProgram = (io: SimulatedSurroundingsOfTool) => Promise<number>;

const shells = new Set(["sh", "ash", "bash"]);

/** The program that a command line is, as far as there is one here. Undefined: nothing is known of it. */
export function programOfCommand(command: readonly string[]): SimulatedProgram | undefined {
  const [name = "", option, script] = command;
  if (!shells.has(basename(name))) {
    return toolOf(name) && scriptProgram([{ words: command, toStderr: false, ifSucceeded: false }]);
  }
  if (option === undefined) {
    return interactiveShell;
  }
  const commands = option === "-c" && script !== undefined ? parseScript(script) : undefined;
  return commands?.every(isKnown) ? scriptProgram(commands) : undefined;
}

function isKnown({ words: [name = ""] }: ScriptCommand): boolean {
  return name === "exit" || toolOf(name) !== undefined;
}

function scriptProgram(commands: readonly ScriptCommand[]): SimulatedProgram {
  return async (io) => (await runCommands(commands, 0, io)).exitCode;
}

async function runCommands(
  commands: readonly ScriptCommand[],
  before: number,
  io: SimulatedSurroundingsOfTool,
): Promise<{ readonly exitCode: number; readonly exits: boolean }> {
  let exitCode = before;
  for (const { words, toStderr, ifSucceeded } of commands) {
    const [name = "", argument] = words;
    if (ifSucceeded && exitCode !== 0) {
      continue;
    }
    if (name === "exit") {
      return { exitCode: argument === undefined ? exitCode : Number(argument) & 0xff, exits: true };
    }
    const tool = toolOf(name);
    if (tool === undefined) {
      await io.write("stderr", Buffer.from(`sh: ${name}: not found\n`));
      exitCode = 127;
    } else {
      exitCode = await tool(words, toStderr ? "stderr" : "stdout", io);
    }
  }
  return { exitCode, exits: false };
}

/** So long may a line be that is typed. */
const maxLineBytes = 64 * 1024;

/** Runs what it reads, line by line, until it is told to exit or its input ends. With a terminal it asks for each. */
async function interactiveShell(io: SimulatedSurroundingsOfTool): Promise<number> {
  const prompt = io.size === undefined ? Buffer.alloc(0) : Buffer.from("/ # ");
  let exitCode = 0;
  let text = "";
  await io.write("stdout", prompt);
  for (let data = await io.read(); data !== undefined; data = await io.read()) {
    const lines = (text + Buffer.from(data).toString("utf8")).slice(-maxLineBytes).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const result = await runLine(line, exitCode, io);
      exitCode = result.exitCode;
      if (result.exits) {
        return exitCode;
      }
      await io.write("stdout", prompt);
    }
  }
  return (await runLine(text, exitCode, io)).exitCode;
}

async function runLine(line: string, before: number, io: SimulatedSurroundingsOfTool) {
  const commands = parseScript(line);
  if (commands === undefined) {
    await io.write("stderr", Buffer.from("sh: syntax error\n"));
    return { exitCode: 2, exits: false };
  }
  return runCommands(commands, before, io);
}
