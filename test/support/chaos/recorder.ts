import type { Command } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import type { Answer, Ask, Incident, Inspection, Intrusion, Sighting, Takeover } from "./history.ts";

/** What the checker itself sees while a run goes on. */
export class Recorder {
  readonly asks: Ask[] = [];
  readonly answers: Answer[] = [];
  readonly sightings: Sighting[] = [];
  readonly inspections: Inspection[] = [];
  readonly incidents: Incident[] = [];
  readonly takeovers: Takeover[] = [];
  readonly intrusions: Intrusion[] = [];

  /** A caller was told of a command. */
  sighted(command: Command | undefined): void {
    if (command !== undefined) this.sightings.push({ atMs: Date.now(), command });
  }

  /** Something is done to the agent of a host. */
  incident(host: string, kind: Incident["kind"]): void {
    this.incidents.push({ host, kind, atMs: Date.now() });
  }
}
