import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { type Command, CommandState } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import type { EngineContainer } from "../../../src/agent/engine/engine.ts";
import type { Execution } from "./engine-host.ts";
import { chaosUpdate } from "./workload.ts";
import { type Answer, type Ask, type History, operationOf } from "./history.ts";

/** A promise, by name, and how a run broke it. */
export interface Violation {
  readonly promise: PromiseName;
  readonly detail: string;
}

type Judge = (history: Indexed) => Iterable<string>;

/** A history with what all judges look up. */
interface Indexed extends History {
  readonly commandsOf: ReadonlyMap<Ask, readonly Command[]>;
  readonly executionsOf: ReadonlyMap<Ask, readonly Execution[]>;
  readonly answersOf: ReadonlyMap<Ask, readonly Answer[]>;
  readonly commandById: ReadonlyMap<string, Command>;
  readonly askOfCommand: ReadonlyMap<string, Ask>;
}

/** Ends of which it is certain that nothing was done. */
const harmlessReasons = new Set([
  "AGENT_BUSY",
  "CANCELLED",
  "COMMAND_EXPIRED",
  "DEADLINE_EXCEEDED",
  "DRAINING",
  "ENGINE_UNAVAILABLE",
  "PRECONDITION_FAILED",
  "SESSION_LOST",
  "STORAGE_UNAVAILABLE",
]);

/** Answers after which there must be no command. */
const refusals = new Set(["AGENT_OFFLINE", "CIRCUIT_OPEN", "AGENT_BUSY"]);

/** Answers that no call of the checker deserves. */
const undeserved = new Set(["REQUEST_ID_REUSED", "INVALID_ARGUMENT", "INTERNAL", "COMMAND_NOT_FOUND"]);

const openStates = [CommandState.PENDING, CommandState.DISPATCHED, CommandState.ACCEPTED];

const judges = {
  "nothing is executed twice": function* ({ asks, executionsOf }) {
    for (const ask of asks) {
      const executions = executionsOf.get(ask) ?? [];
      for (const method of new Set(executions.map((execution) => execution.method))) {
        const times = executions.filter((execution) => execution.method === method);
        if (times.length > 1) yield `${nameOf(ask)}: ${method} was executed ${times.length} times`;
      }
    }
  },

  "one request is one command": function* ({ asks, commandsOf, answersOf }) {
    for (const ask of asks) {
      const told = (answersOf.get(ask) ?? []).flatMap(({ commandId }) => commandId ?? []);
      const ids = new Set([...told, ...(commandsOf.get(ask) ?? []).map(({ id }) => id)]);
      if (ids.size > 1) yield `${nameOf(ask)}: ${[...ids].join(", ")}`;
    }
  },

  "what succeeded was executed exactly once": function* ({ commands, askOfCommand, executionsOf }) {
    for (const command of commands) {
      const ask = askOfCommand.get(command.id);
      // What is so already may be settled by looking, without being done.
      if (command.state !== CommandState.SUCCEEDED || ask === undefined || ask.already) continue;
      const done = new Set((executionsOf.get(ask) ?? []).map(({ method }) => method));
      if (!done.has(ask.operation)) yield `${nameOf(ask)}: ${command.id} succeeded and was never executed`;
      if (ask.starts && !done.has("start")) yield `${nameOf(ask)}: ${command.id} never started it`;
      if (!command.changed) yield `${nameOf(ask)}: ${command.id} says that nothing changed`;
    }
  },

  "what is said to have done nothing did nothing": function* ({ commands, askOfCommand, executionsOf }) {
    for (const command of commands) {
      const ask = askOfCommand.get(command.id);
      if (ask === undefined || !isHarmless(command)) continue;
      const executions = executionsOf.get(ask) ?? [];
      if (executions.length > 0) {
        yield `${nameOf(ask)}: ${command.id} ended as ${stateName(command)} ${command.reason}, but was executed`;
      }
    }
  },

  "a refused call leaves no command": function* ({ asks, answersOf, commandsOf, executionsOf }) {
    for (const ask of asks) {
      const answers = answersOf.get(ask) ?? [];
      const refused = answers.length > 0 && answers.every((answer) => isRefusal(answer));
      const traces = (commandsOf.get(ask)?.length ?? 0) + (executionsOf.get(ask)?.length ?? 0);
      if (refused && traces > 0) yield `${nameOf(ask)}: all its calls were refused`;
    }
  },

  "nothing acknowledged is lost": function* ({ answers, sightings, commandById }) {
    for (const answer of answers) {
      if (answer.commandId === undefined) continue;
      const command = commandById.get(answer.commandId);
      if (command === undefined) {
        yield `${nameOf(answer.ask)}: ${answer.commandId} was told to a caller and is not in the journal`;
      } else if (answer.kind === "ok" && !answer.queued && command.state !== CommandState.SUCCEEDED) {
        yield `${nameOf(answer.ask)}: ${command.id} was answered OK and is ${stateName(command)} ${command.reason}`;
      } else if (answer.kind === "ok" && !answer.queued && command.changed !== answer.changed) {
        yield `${nameOf(answer.ask)}: ${command.id} was answered with changed=${answer.changed}`;
      }
    }
    for (const { command } of sightings) {
      if (!commandById.has(command.id)) yield `${command.id} was told to a caller and is not in the journal`;
    }
  },

  "an end is for ever": function* ({ sightings, commands, commandsAgain, commandById }) {
    for (const { command } of sightings) {
      const now = commandById.get(command.id);
      if (now === undefined || openStates.includes(command.state)) continue;
      if (endOf(command) !== endOf(now)) yield `${command.id} was ${endOf(command)} and is ${endOf(now)}`;
    }
    const again = new Map(commandsAgain.map((command) => [command.id, endOf(command)]));
    for (const command of commands) {
      if (again.get(command.id) !== endOf(command)) {
        yield `${command.id} is ${endOf(command)} and, read again, ${again.get(command.id)}`;
      }
      const ends = command.transitions.filter(({ state }) => !openStates.includes(state));
      if (ends.length > 1) yield `${command.id} has ended ${ends.length} times`;
    }
  },

  "every command ends": function* ({ commands }) {
    for (const command of commands) {
      if (openStates.includes(command.state)) {
        const { id, attempt, sessionEpoch } = command;
        yield `${id} is still ${stateName(command)} (${command.operation}, attempt ${attempt}, epoch ${sessionEpoch})`;
      }
    }
  },

  "each end is one event": function* ({ commands, endedEvents }) {
    const counts = new Map<string, number>();
    for (const id of endedEvents) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const command of commands) {
      const due = openStates.includes(command.state) ? 0 : 1;
      const events = counts.get(command.id) ?? 0;
      if (events !== due) yield `${command.id} is ${stateName(command)} and has ${events} events of its end`;
    }
  },

  "an unknown outcome has a cause": function* (history) {
    for (const command of history.commands) {
      if (command.state !== CommandState.OUTCOME_UNKNOWN || hasCause(command, history)) continue;
      yield `${command.id} (${command.operation}) on ${command.hostName}: ${command.message}`;
    }
  },

  "what succeeded can be seen": function* ({ answers, inspections }) {
    for (const answer of answers) {
      if (answer.kind !== "ok" || answer.queued || isAsWanted(answer.ask, answer.seen)) continue;
      yield `${nameOf(answer.ask)}: ${answer.commandId} was answered OK, and the engine has ${described(answer.seen)}`;
    }
    for (const { ask, commandId, seen } of inspections) {
      if (isAsWanted(ask, seen)) continue;
      yield `${nameOf(ask)}: ${commandId} was answered OK, and inspecting shows ${described(seen)}`;
    }
  },

  "nothing comes from an agent that was replaced": function* ({ executions, takeovers, created }) {
    for (const { host, incarnation, method, container, askedMs } of executions) {
      const newer = takeovers.find(
        (takeover) => takeover.host === host && takeover.incarnation > incarnation && takeover.atMs < askedMs,
      );
      // What has begun goes on: a creation that also starts.
      if (newer === undefined || (method === "start" && created.has(container))) continue;
      yield `${method} ${container} on ${host} came from process ${incarnation} after ${newer.incarnation} had a session`;
    }
  },

  "no two agents use one data folder": function* ({ intrusions }) {
    for (const { host, incarnation, outcome, message } of intrusions) {
      if (outcome === "online") yield `process ${incarnation} on ${host} used the folder of another one`;
      else if (!message.includes("is in use by another agent")) yield `on ${host} it says only: ${message}`;
    }
  },

  "no call fails for a reason of its own": function* ({ answers }) {
    for (const answer of answers) {
      if (answer.kind === "error" && !answer.lost && undeserved.has(answer.reason)) {
        yield `${nameOf(answer.ask)}: ${answer.reason}: ${answer.message}`;
      }
    }
  },
} as const satisfies Readonly<Record<string, Judge>>;

/** What a run is judged by. */
export type PromiseName = keyof typeof judges;

/** All promises. */
export const promises = Object.keys(judges) as readonly PromiseName[];

/** Every breach of a promise that a history shows. None: all was kept. */
export function violationsOf(history: History): Violation[] {
  const indexed = indexedFrom(history);
  return promises.flatMap((promise) =>
    Array.from(judges[promise](indexed), (detail) => ({ promise, detail })),
  );
}

/** Whether a container is as a successful ask leaves it. */
export function isAsWanted(ask: Ask, seen: EngineContainer | undefined): boolean {
  switch (ask.operation) {
    case "remove":
      return seen === undefined;
    case "rename":
      return seen?.name === ask.newName;
    case "create":
      return seen?.state === (ask.starts ? ContainerState.RUNNING : ContainerState.CREATED);
    case "update":
      return seen?.limits?.memoryBytes === chaosUpdate.memoryBytes;
    case "start":
    case "restart":
    case "unpause":
    case "exec":
      return seen?.state === ContainerState.RUNNING;
    case "stop":
      return seen?.state === (ask.already ? ContainerState.CREATED : ContainerState.EXITED);
    case "kill":
      return seen?.state === ContainerState.EXITED;
    case "pause":
      return seen?.state === ContainerState.PAUSED;
  }
}

function indexedFrom(history: History): Indexed {
  const askOf = new Map(history.asks.map((ask) => [ask.container, ask]));
  const executions = history.executions.flatMap((execution) => {
    // What a creation starts is known to the engine by an id that nobody could foresee.
    const ask = askOf.get(history.created.get(execution.container) ?? execution.container);
    return ask === undefined ? [] : [[ask, execution] as const];
  });
  const commands = history.commands.flatMap((command) => {
    const ask = askOf.get(command.container);
    return ask === undefined || operationOf(command) !== ask.operation ? [] : [[ask, command] as const];
  });
  return {
    ...history,
    executionsOf: grouped(executions),
    commandsOf: grouped(commands),
    answersOf: grouped(history.answers.map((answer) => [answer.ask, answer] as const)),
    commandById: new Map(history.commands.map((command) => [command.id, command])),
    askOfCommand: new Map(commands.map(([ask, command]) => [command.id, ask])),
  };
}

function grouped<Value>(pairs: readonly (readonly [Ask, Value])[]): Map<Ask, Value[]> {
  const groups = new Map<Ask, Value[]>();
  for (const [ask, value] of pairs) groups.set(ask, [...(groups.get(ask) ?? []), value]);
  return groups;
}

function isHarmless({ state, reason }: Command): boolean {
  return (
    state === CommandState.CANCELLED ||
    state === CommandState.EXPIRED ||
    (state === CommandState.FAILED && harmlessReasons.has(reason))
  );
}

function isRefusal(answer: Answer): boolean {
  return (
    answer.kind === "error" && !answer.lost && answer.commandId === undefined && refusals.has(answer.reason)
  );
}

/**
 * Whether anything happened that may lose an answer of the engine: to its agent's process, its journal, its engine, or its time. What is
 * sent between a kill and the return of the agent is sent to nobody, before the control plane has noticed.
 */
function hasCause(
  command: Command,
  { incidents, takeovers, breakages, created, askOfCommand }: Indexed,
): boolean {
  const ask = askOfCommand.get(command.id);
  if (ask === undefined || command.createTime === undefined || command.endTime === undefined) return false;
  const from = timestampMs(command.createTime);
  const to = timestampMs(command.endTime);
  const meanwhile = incidents.some(({ host, atMs }) => {
    if (host !== ask.host || atMs > to) return false;
    const back = takeovers.find((takeover) => takeover.host === host && takeover.atMs > atMs);
    return back === undefined || back.atMs >= from;
  });
  const broken = breakages.some(
    ({ container }) => (created.get(container) ?? container) === command.container,
  );
  return meanwhile || broken || command.cancelRequested || isLate(command, to - from);
}

// A call that waits for its agent leaves its command the rest of its time; and two processes' milliseconds are not the same.
function isLate({ timeout }: Command, tookMs: number): boolean {
  return timeout !== undefined && tookMs >= durationMs(timeout) - 20;
}

function endOf(command: Command): string {
  const { state, reason, changed, endTime } = command;
  return JSON.stringify([CommandState[state], reason, changed, endTime && timestampMs(endTime)]);
}

function stateName({ state }: Command): string {
  return CommandState[state] ?? `${state}`;
}

function nameOf({ index, operation, host, container }: Ask): string {
  return `ask ${index} (${operation} ${container.slice(0, 16)} on ${host})`;
}

function described(seen: EngineContainer | undefined): string {
  if (seen === undefined) return "no such container";
  return `${seen.name} ${ContainerState[seen.state ?? ContainerState.UNSPECIFIED]}`;
}
