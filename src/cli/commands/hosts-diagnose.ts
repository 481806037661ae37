import type { Command } from "commander";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { CommandState } from "../../gen/fairlead/command/v1/command_pb.js";
import { type Event, EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import { CircuitState, type Host } from "../../gen/fairlead/host/v1/host_pb.js";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { agoInWords } from "../output/times.ts";

/** One thing that was looked at. */
interface Finding {
  readonly verdict: "good" | "bad";
  readonly what: string;
  readonly detail: string;
  /** The one thing to do. Empty when it is good. */
  readonly advice: string;
}

/** `fairlead hosts diagnose`: the control plane's view of one host's agent, and the one thing to do. */
export function addHostsDiagnoseCommand(hosts: Command, line: CommandLine): void {
  const diagnose = hosts
    .command("diagnose")
    .summary("say what is wrong with a host, as the control plane sees it")
    .argument("<host>", "name or id")
    .addHelpText("after", "\nOn the host itself, `fairlead agent --doctor` looks from the other side.\n");
  addClientOptions(diagnose).action(clientAction(line, diagnoseHost));
}

async function diagnoseHost(
  invocation: Invocation,
  _options: object,
  names: readonly string[],
): Promise<void> {
  const { client, call, environment } = invocation;
  const { host } = await client.hosts.getHost({ host: names[0] ?? "" }, call);
  if (host === undefined) return;
  const open = [CommandState.PENDING, CommandState.DISPATCHED, CommandState.ACCEPTED];
  const [{ commands }, { events }] = await Promise.all([
    client.commands.listCommands({ host: host.id, states: open }, call),
    client.events.listEvents({ filter: { hosts: [host.id], types: telling }, pageSize: 1000 }, call),
  ]);
  const findings = [
    ofSession(host, events.at(-1), environment.clock.now()),
    ofEngine(host),
    ofCircuit(host),
    ofClock(host),
    { verdict: "good", what: "commands", detail: `${commands.length} open`, advice: "" } as const,
  ];
  if (invocation.json) {
    invocation.printJson({ host: host.name, findings });
    return;
  }
  const lines = findings.map(
    ({ verdict, what, detail }) => `${verdict.padEnd(4)}  ${what.padEnd(8)}  ${escapeText(detail)}\n`,
  );
  const advice = findings.find((finding) => finding.verdict === "bad")?.advice;
  invocation.print(lines.join("") + (advice === undefined ? "" : `\nWhat to do: ${advice}\n`));
}

const telling = [
  EventType.HOST_OFFLINE,
  EventType.RECONNECTION_REFUSED,
  EventType.IDENTITY_IN_USE,
  EventType.SESSION_SUPERSEDED,
];

function ofSession(host: Host, last: Event | undefined, now: number): Finding {
  if (host.online) {
    return { verdict: "good", what: "session", detail: `online, epoch ${host.sessionEpoch}`, advice: "" };
  }
  const why = last?.attributes["cause"] ?? last?.attributes["reason"];
  const detail = `offline, last heard of ${agoInWords(host.lastSeenTime, now)}${why === undefined ? "" : ` (${why})`}`;
  return { verdict: "bad", what: "session", detail, advice: adviceOn(why) };
}

function adviceOn(why: string | undefined): string {
  switch (why) {
    case "SIGNATURE":
      return "the agent has lost its identity: fairlead token create --host NAME, and start it with that token";
    case "ENGINE_CHANGED":
      return "the agent runs on another engine than it was enrolled with: point it at that one, or delete the host and enrol it again";
    default:
      return "on the host, see that its agent runs, and run fairlead agent --doctor there";
  }
}

function ofEngine(host: Host): Finding {
  const what = "engine";
  if (!host.online || host.engineAvailable) {
    return {
      verdict: "good",
      what,
      detail: host.online ? "answers its agent" : "not known while the host is offline",
      advice: "",
    };
  }
  const advice = "start the container engine on the host, and let its agent's user reach it";
  return { verdict: "bad", what, detail: "does not answer its agent", advice };
}

function ofCircuit(host: Host): Finding {
  const isOpen = host.circuitState === CircuitState.OPEN;
  const detail = isOpen
    ? "open: commands are held back, because the last ones failed on their way"
    : "commands are let through";
  const advice = isOpen ? "look at the reasons of the last commands: fairlead commands ls --host NAME" : "";
  return { verdict: isOpen ? "bad" : "good", what: "circuit", detail, advice };
}

function ofClock({ clockOffset }: Host): Finding {
  const offsetMs = clockOffset === undefined ? 0 : Math.round(durationMs(clockOffset));
  const isOff = Math.abs(offsetMs) > 5_000;
  const advice = isOff ? "let the host and the control plane keep their clocks by NTP" : "";
  return { verdict: isOff ? "bad" : "good", what: "clock", detail: `${Math.abs(offsetMs)} ms apart`, advice };
}
