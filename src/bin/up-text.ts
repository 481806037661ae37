import { escapeText } from "../cli/output/escape.ts";
import { defaultApiServer } from "../cli/invocation.ts";
import type { Paint } from "../cli/output/paint.ts";
import type { Host } from "../gen/fairlead/host/v1/host_pb.js";

/** What there is to say when everything runs. */
export interface Readiness {
  readonly api: string;
  readonly agents: string;
  readonly data: string;
  readonly host: Host | undefined;
  readonly engine: "docker" | "simulated";
  readonly paint: Paint;
}

/** What runs, where, and with what; ends with an empty line. */
export function readyLines({ api, agents, data, host, engine, paint }: Readiness): string {
  const headline =
    host?.online === true
      ? `${paint("good", "Fairlead is ready.")} Ctrl-C ends it.`
      : `${paint("bad", "The control plane runs, but its agent is not online yet.")} It goes on trying; the log says why.`;
  return `${headline}

  API      ${api}
  Agents   ${agents} ${paint("faint", "(this machine only: there is neither TLS nor API keys yet)")}
  Data     ${escapeText(data)}
  Host     ${escapeText(host?.name ?? "none yet")}, ${engineText(host, engine, paint)}

`;
}

function engineText(host: Host | undefined, engine: Readiness["engine"], paint: Paint): string {
  if (engine === "simulated") {
    return paint("busy", "SIMULATED engine: nothing on this machine is really managed");
  }
  if (host?.engineAvailable !== true) {
    return paint("bad", "Docker Engine, which does not answer; its containers show as soon as it does");
  }
  return escapeText(
    `Docker Engine ${host.facts?.engineVersion ?? ""} on ${host.facts?.operatingSystem ?? ""}`,
  );
}

/** What the lines to try depend on. */
export interface NextSteps {
  readonly api: string;
  /** How people call the program here. */
  readonly programName: string;
  readonly host: Host | undefined;
  readonly paint: Paint;
}

/** What to try next, in another terminal. Without containers it begins with making one. */
export function nextSteps({ api, programName, host, paint }: NextSteps): string {
  const inClone = programName.startsWith("./");
  const server = api === defaultApiServer ? "" : ` --server ${api}`;
  const list = `${api}/fairlead.container.v1.ContainerService/ListContainers`;
  const image = host?.facts?.simulated === true ? "nginx:1.29" : "IMAGE   # one that Docker has already";
  const lines = [
    `${programName} ps -a${server}`,
    `${programName} create${server} --name hello --start ${image}`,
    `${programName} stop${server} hello`,
    `${programName} events${server} --follow`,
    `curl -H 'content-type: application/json' -d '{}' ${list}`,
    `${inClone ? "npx " : ""}buf curl --http2-prior-knowledge -d '{}' ${list}`,
  ];
  return `\n${paint("strong", "What to try next, in another terminal:")}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
