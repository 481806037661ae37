import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { ContainerSchema } from "../gen/fairlead/container/v1/container_pb.js";
import type { Container } from "../gen/fairlead/container/v1/container_pb.js";
import {
  addDeliveryOptions,
  addPreconditionOptions,
  deliveryPart,
  preconditionPart,
} from "./delivery-options.ts";
import type { DeliveryOptions, PreconditionOptions } from "./delivery-options.ts";
import { parseContainer } from "./grammar/container-reference.ts";
import type { ContainerReference } from "./grammar/container-reference.ts";
import { addClientOptions, clientAction } from "./invocation.ts";
import type { CommandLine, Invocation } from "./invocation.ts";
import { escapeText } from "./output/escape.ts";
import { messageToJson } from "./output/json.ts";
import { settleInOrder } from "./settle-in-order.ts";

/** What every command that acts on a container can be told. */
export interface ActionOptions extends DeliveryOptions, PreconditionOptions {
  readonly host?: string;
}

/** The part of a request that all acting calls share. */
export type ActionTarget = ContainerReference &
  ReturnType<typeof deliveryPart> &
  ReturnType<typeof preconditionPart>;

/** What every acting call answers. */
export interface ActionAnswer {
  readonly container?: Container | undefined;
  readonly changed: boolean;
  readonly commandId: string;
  /** It was only written down. */
  readonly queued: boolean;
}

/** Gives a command the options of every command that acts on a container. */
export function addActionOptions(command: Command): Command {
  command.option("--host <host>", "the host, by name or id; HOST/NAME says the same");
  return addClientOptions(addPreconditionOptions(addDeliveryOptions(command)));
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
      const targets = names.map((name) => targetOf(invocation, name, options));
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
export function targetOf({ environment }: Invocation, name: string, options: ActionOptions): ActionTarget {
  return {
    ...parseContainer(name, options.host),
    ...deliveryPart(options, environment.clock.now()),
    ...preconditionPart(options),
  };
}

/** Tells of a command that was only written down: its id, and for people how to follow it. */
export function printQueued(invocation: Invocation, commandId: string): void {
  const id = escapeText(commandId);
  invocation.print(`${id}\n`);
  invocation.hint(
    `fairlead: written down. \`fairlead commands wait ${id}\` waits for its end, \`fairlead commands cancel ${id}\` cancels it.`,
  );
}

/** The answer of an acting call for programs. */
export function actionToJson({ container, changed, commandId, queued }: ActionAnswer) {
  return {
    ...(container === undefined ? {} : { container: messageToJson(ContainerSchema, container) }),
    changed,
    commandId,
    queued,
  };
}

function report(invocation: Invocation, name: string, answer: ActionAnswer): void {
  if (invocation.json) {
    return;
  }
  if (answer.queued) {
    printQueued(invocation, answer.commandId);
    return;
  }
  invocation.print(`${escapeText(name)}\n`);
  if (!answer.changed) {
    invocation.hint(`fairlead: ${escapeText(name)} was so already, nothing changed`);
  }
}
