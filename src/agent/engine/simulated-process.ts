import { constants } from "node:os";
import { basename } from "node:path/posix";
import { signalNumber } from "./linux-signals.ts";

/** How the main process of a simulated container behaves. */
export interface SimulatedProcess {
  /** It ends by itself after so long. Undefined: never. */
  readonly lifetimeMs: number | undefined;
  /** With what it ends by itself. */
  readonly exitCode: number;
  /** The exit code with which a signal ends it. Undefined: it goes on. */
  exitCodeOn(signalNumber: number): number | undefined;
}

const { SIGCHLD, SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGURG, SIGWINCH } = constants.signals;

/** Tools that handle no signals: as the first process of a container, they hear none but SIGKILL. */
const tools = new Set([
  "sh",
  "ash",
  "bash",
  "sleep",
  "cat",
  "tail",
  "ls",
  "ps",
  "echo",
  "date",
  "true",
  "false",
]);

/** Whether there is such a tool in the images of a simulated engine, by name or path. */
export function isTool(name: string): boolean {
  return tools.has(basename(name));
}

/** Longer than this no timer can wait. */
const longestLifetimeMs = 2 ** 31 - 1;

/**
 * Guesses from a command line how its process would behave. Small tools end by themselves when they would (`sleep 5`, `true`,
 * `sh -c "exit 3"`) and, as in a real container, ignore every signal but SIGKILL unless there is an init process or a
 * `trap 'exit N' SIGNAL`. Everything else is taken for a server: it runs until SIGTERM, SIGINT or SIGQUIT, and then exits
 * with 0 at once.
 */
export function processOfCommand(
  command: readonly string[],
  options: { readonly init: boolean; readonly stdinOpen: boolean },
): SimulatedProcess {
  const tool = basename(command[0] ?? "");
  const script = command.slice(1).join(" ");
  const end = tools.has(tool) ? endOfTool(tool, script, options.stdinOpen) : undefined;
  const trap = /\btrap\s+['"]exit (\d+)['"]\s+(\w+)/.exec(script);
  return {
    lifetimeMs: end && end.afterMs <= longestLifetimeMs ? end.afterMs : undefined,
    exitCode: end?.exitCode ?? 0,
    exitCodeOn(number) {
      if (number === SIGKILL) {
        return 128 + SIGKILL;
      }
      if (trap !== null && signalNumber(trap[2] ?? "") === number) {
        return Number(trap[1]);
      }
      if (tools.has(tool)) {
        return options.init && ![SIGCHLD, SIGCONT, SIGURG, SIGWINCH].includes(number)
          ? 128 + number
          : undefined;
      }
      return [SIGTERM, SIGINT, SIGQUIT].includes(number) ? 0 : undefined;
    },
  };
}

function endOfTool(
  tool: string,
  script: string,
  stdinOpen: boolean,
): { readonly afterMs: number; readonly exitCode: number } | undefined {
  switch (tool) {
    case "sleep":
      return script === "infinity" ? undefined : { afterMs: seconds(script), exitCode: 0 };
    case "sh":
    case "ash":
    case "bash": {
      const exit = /^-c (?:sleep ([\d.]+) *; *)?exit (\d+)$/.exec(script);
      return exit === null
        ? endWithoutInput(script === "" && !stdinOpen)
        : { afterMs: seconds(exit[1] ?? "0"), exitCode: Number(exit[2]) };
    }
    case "cat":
      return endWithoutInput(!stdinOpen);
    case "tail":
      return endWithoutInput(!/(^| )-[fF]/.test(script));
    default:
      return { afterMs: 0, exitCode: tool === "false" ? 1 : 0 };
  }
}

function endWithoutInput(ends: boolean): { readonly afterMs: number; readonly exitCode: number } | undefined {
  return ends ? { afterMs: 0, exitCode: 0 } : undefined;
}

function seconds(text: string): number {
  return Math.max(0, Number.parseFloat(text) || 0) * 1000;
}
