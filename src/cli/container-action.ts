import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { ContainerSchema } from "../gen/fairlead/container/v1/container_pb.js";
import type { Container } from "../gen/fairlead/container/v1/container_pb.js";
import { parseContainer } from "./grammar/container-reference.ts";
import type { ContainerReference } from "./grammar/container-reference.ts";
import { parseDuration } from "./grammar/duration.ts";
import { addClientOptions, clientAction } from "./invocation.ts";
import type { CommandLine, Invocation } from "./invocation.ts";
import { escapeText } from "./output/escape.ts";
import { messageToJson } from "./output/json.ts";
import { settleInOrder } from "./settle-in-order.ts";

/** What every command that acts can be told. */
export interface ActionOptions {
  readonly host?: string;
  readonly requestId?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** The part of a request that all acting calls share. */
export interface ActionTarget extends ContainerReference {
  readonly requestId: string;
  readonly timeout?: Duration;
}

/** What every acting call answers. */
export interface ActionAnswer {
  readonly container?: Container | undefined;
  readonly changed: boolean;
  readonly commandId: string;
}

/** Gives a command the options of every command that acts. */
export function addActionOptions(command: Command): Command {
  return addClientOptions(command)
    .option("--host <host>", "the host, by name or id; HOST/NAME says the same")
    .option("--request-id <key>", "makes it safe to run this line again: the same key never acts twice")
    .option("--timeout <duration>", 'how long it may take, for example "45s" (default 30s)', parseDuration);
}

/**
 * Makes a command that does one thing to the containers that it is given, several at once, and prints each name as
 * it was given, in that order, as docker does.
 */
export function addContainerAction<Options extends ActionOptions>(
  line: CommandLine,
  command: Command,
  act: (invocation: Invocation, target: ActionTarget, options: Options) => Promise<ActionAnswer>,
): Command {
  return addActionOptions(command.argument("<container...>", "NAME, ID or HOST/NAME")).action(
    clientAction<Options>(line, async (invocation, options, names) => {
      if (options.requestId !== undefined && names.length > 1) {
        throw new InvalidArgumentError("--request-id goes with one container only.");
      }
      const targets = names.map((name) => targetOf(name, options));
      const answers = await settleInOrder(targets, (target) => act(invocation, target, options), {
        onAnswer: (answer, index) => report(invocation, names[index] ?? "", answer),
        onFailure: (error, index) => invocation.fail(error, names.length > 1 ? names[index] : undefined),
      });
      if (invocation.json) {
        invocation.printJson(answers.map(actionToJson));
      }
    }),
  );
}

/** The container that an argument names, and how to act on it. Throws `InvalidArgumentError`. */
export function targetOf(name: string, options: ActionOptions): ActionTarget {
  return { ...parseContainer(name, options.host), ...requestPart(options) };
}

/** What of the options every acting request has. */
export function requestPart({ requestId, timeout }: ActionOptions) {
  return {
    requestId: requestId ?? "",
    ...(timeout === undefined ? {} : { timeout: durationFromMs(timeout) }),
  };
}

/** The answer of an acting call for programs. */
export function actionToJson({ container, changed, commandId }: ActionAnswer) {
  return {
    ...(container === undefined ? {} : { container: messageToJson(ContainerSchema, container) }),
    changed,
    commandId,
  };
}

function report(invocation: Invocation, name: string, answer: ActionAnswer): void {
  if (invocation.json) {
    return;
  }
  invocation.print(`${escapeText(name)}\n`);
  if (!answer.changed) {
    invocation.hint(`fairlead: ${escapeText(name)} was so already, nothing changed`);
  }
}
