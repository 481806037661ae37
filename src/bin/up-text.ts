import { escapeText } from "../cli/output/escape.ts";
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
  const facts = host?.facts;
  const what =
    engine === "simulated"
      ? paint("busy", "SIMULATED engine: nothing on this machine is really managed")
      : escapeText(
          `Docker Engine ${facts?.engineVersion ?? ""} on ${facts?.operatingSystem ?? "this machine"}`,
        );
  return `${paint("good", "Fairlead is ready.")} Ctrl-C ends it.

  API      ${api}
  Agents   ${agents} ${paint("faint", "(this machine only: there is neither TLS nor API keys yet)")}
  Data     ${escapeText(data)}
  Host     ${escapeText(host?.name ?? "")}, ${what}

`;
}

/** What to try next, in another terminal. */
export function nextSteps(api: string, paint: Paint): string {
  const list = `${api}/fairlead.container.v1.ContainerService/ListContainers`;
  const server = api === "http://127.0.0.1:7080" ? "" : ` --server ${api}`;
  return `
${paint("strong", "What to try next, in another terminal:")}
  fairlead ps -a${server}
  fairlead stop${server} NAME
  fairlead events --follow${server}
  curl -H 'content-type: application/json' -d '{}' ${list}
  buf curl --http2-prior-knowledge -d '{}' ${list}
`;
}
