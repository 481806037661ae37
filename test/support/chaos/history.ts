import type { EngineContainer } from "../../../src/agent/engine/engine.ts";
import type { Command } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import type { Breakage, Execution } from "./engine-host.ts";

/** The operations that change something, as the engine counts them. */
export type ChaosOperation = Execution["method"];

/** One thing that a caller wants, over all the calls that it makes for it. No other one concerns the same container. */
export interface Ask {
  readonly index: number;
  readonly host: string;
  readonly operation: ChaosOperation;
  /** Full id; for a creation the name. */
  readonly container: string;
  /** The name that a renaming wants. */
  readonly newName: string;
  /** Empty: none, and there is one call only. */
  readonly requestId: string;
  readonly offlinePolicy: "fail-fast" | "wait" | "queue";
  readonly timeoutMs: number;
  /** Only when queued: it may start within this time. */
  readonly expiresAfterMs: number | undefined;
  /** A creation also starts the container. */
  readonly starts: boolean;
  /** The container is already as it is wanted. */
  readonly already: boolean;
  /** With a precondition that does not hold. */
  readonly impossible: boolean;
  /** The caller hangs up after so long. */
  readonly hangsUpAfterMs: number | undefined;
  /** Somebody cancels the command after so long, when its id is known. */
  readonly cancelledAfterMs: number | undefined;
  /** How many calls are made at once. More than one needs a request id. */
  readonly callers: number;
}

/** What one call was answered. */
export type Answer = {
  readonly ask: Ask;
  readonly atMs: number;
} & (
  | {
      readonly kind: "ok";
      readonly commandId: string;
      readonly changed: boolean;
      readonly queued: boolean;
      /** How the engine itself had the container right then; undefined: it had none. Only looked at when the command had ended. */
      readonly seen: EngineContainer | undefined;
    }
  | {
      readonly kind: "error";
      readonly reason: string;
      readonly message: string;
      /** Undefined: the answer names no command. */
      readonly commandId: string | undefined;
      /** The way to the server broke, or the caller hung up: nobody knows whether there is a command. */
      readonly lost: boolean;
    }
);

/** A command as a caller was told of it while the run went on. */
export interface Sighting {
  readonly atMs: number;
  readonly command: Command;
}

/** What was seen by asking for a container after an answer. */
export interface Inspection {
  readonly ask: Ask;
  readonly commandId: string;
  /** Undefined: there was no such container. */
  readonly seen: EngineContainer | undefined;
}

/** Something done to a host's agent on purpose. */
export interface Incident {
  readonly host: string;
  readonly kind: "agent-killed" | "agent-frozen" | "journal-lost";
  readonly atMs: number;
}

/** A process of an agent that has a session. */
export interface Takeover {
  readonly host: string;
  readonly incarnation: number;
  readonly atMs: number;
}

/** A process that was started on the data folder of an agent that lived. */
export interface Intrusion {
  readonly host: string;
  readonly incarnation: number;
  /** How it ended; online: it did not. */
  readonly outcome: "online" | "refused";
  /** What it said. */
  readonly message: string;
}

/** All that is known of a run once it is over. */
export interface History {
  readonly asks: readonly Ask[];
  readonly answers: readonly Answer[];
  readonly sightings: readonly Sighting[];
  readonly inspections: readonly Inspection[];
  readonly executions: readonly Execution[];
  /** Ids of containers that agents had made, with their names. */
  readonly created: ReadonlyMap<string, string>;
  readonly breakages: readonly Breakage[];
  readonly incidents: readonly Incident[];
  readonly takeovers: readonly Takeover[];
  readonly intrusions: readonly Intrusion[];
  /** The journal, read twice after all had ended, or after the time for that was over. */
  readonly commands: readonly Command[];
  readonly commandsAgain: readonly Command[];
  /** Ids of commands whose end is an event, once for each event. */
  readonly endedEvents: readonly string[];
}

/** The name of a command's operation, as the engine counts it. */
export function operationOf({ operation }: Pick<Command, "operation">): string {
  return operation.replace(/^run_|_container$/, "");
}
