import { InvalidArgumentError } from "commander";
import { CommandState } from "../../gen/fairlead/command/v1/command_pb.js";

const words = {
  [CommandState.UNSPECIFIED]: "unknown",
  [CommandState.PENDING]: "pending",
  [CommandState.DISPATCHED]: "dispatched",
  [CommandState.ACCEPTED]: "accepted",
  [CommandState.SUCCEEDED]: "succeeded",
  [CommandState.FAILED]: "failed",
  [CommandState.CANCELLED]: "cancelled",
  [CommandState.EXPIRED]: "expired",
  [CommandState.OUTCOME_UNKNOWN]: "outcome-unknown",
} as const satisfies Readonly<Record<CommandState, string>>;

const states = new Map(
  Object.entries(words)
    .map(([state, word]) => [word as string, Number(state) as CommandState] as const)
    .filter(([, state]) => state !== CommandState.UNSPECIFIED),
);

/** The word for a state, for example "succeeded"; "unknown" for one of a newer control plane. */
export function commandStateWord(state: CommandState): string {
  return (words as Readonly<Record<number, string>>)[state] ?? "unknown";
}

/** The state that a word means, in any case, with "_" or "-". Throws `InvalidArgumentError`. */
export function parseCommandState(text: string): CommandState {
  const state = states.get(text.toLowerCase().replaceAll("_", "-"));
  if (state === undefined) {
    throw new InvalidArgumentError(`A state is one of ${[...states.keys()].join(", ")}.`);
  }
  return state;
}
