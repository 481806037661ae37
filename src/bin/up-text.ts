import { resolve, sep } from "node:path";
import { defaultDataFolder } from "../cli/authority-file.ts";
import { escapeText } from "../cli/output/escape.ts";
import { defaultApiServer } from "../cli/invocation.ts";
import type { Paint } from "../cli/output/paint.ts";
import type { Host } from "../gen/fairlead/host/v1/host_pb.js";

/** What there is to say when everything runs. */
export interface Readiness {
  readonly api: string;
  readonly agents: string;
  readonly data: string;
  readonly plaintext: boolean;
  readonly host: Host | undefined;
  readonly engine: "docker" | "simulated";
  readonly paint: Paint;
}

/** What runs, where, and with what; ends with an empty line. */
export function readyLines({ api, agents, data, plaintext, host, engine, paint }: Readiness): string {
  const headline =
    host?.online === true
      ? `${paint("good", "Fairlead is ready.")} Ctrl-C ends it.`
      : `${paint("bad", "The control plane runs, but its agent is not online yet.")} It goes on trying; the log says why.`;
  return `${headline}

  API      ${api}
  Agents   ${agents} ${plaintext ? paint("bad", "(both in PLAINTEXT, as you asked for)") : paint("faint", "(both with TLS)")}
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
  /** The file with the certificate to trust it by. Undefined: none of its own. */
  readonly ca: string | undefined;
  /** The file with the first admin's key. Undefined: calls need no key. */
  readonly keyFile: string | undefined;
  /** How people call the program here. */
  readonly programName: string;
  readonly host: Host | undefined;
  readonly paint: Paint;
}

/** What to try next, in another terminal. Without containers it begins with making one. */
export function nextSteps(steps: NextSteps): string {
  const { api, programName, host, paint } = steps;
  const npx = programName.startsWith("./") ? "npx " : "";
  const flags = clientFlags(steps);
  const list = `${api}/fairlead.container.v1.ContainerService/ListContainers`;
  const isSimulated = host?.facts?.simulated === true;
  const image = isSimulated ? "nginx:1.29" : "IMAGE   # one that Docker has already";
  const trust = steps.ca === undefined ? "" : ` --cacert ${quoted(steps.ca)}`;
  const plain = api.startsWith("https:") ? "" : " --http2-prior-knowledge";
  const { keyFile } = steps;
  const bearer = '"authorization: Bearer $KEY"';
  const [key, reflectKey] =
    keyFile === undefined ? ["", ""] : [` -H ${bearer}`, ` --reflect-header ${bearer}`];
  const lines = [
    `${programName} ps -a${flags}`,
    `${programName} create${flags} --name hello --start ${image}`,
    `${programName} logs${flags} --follow ${isSimulated ? "web-1" : "hello"}`,
    `${programName} exec${flags} -it hello sh`,
    `${programName} stop${flags} hello`,
    `${programName} events${flags} --follow`,
    ...(keyFile === undefined ? [] : [`KEY="${keyIn(keyFile)}"`]),
    `curl${trust}${key} -H 'content-type: application/json' -d '{}' ${list}`,
    `${npx}buf curl${plain}${trust}${key}${reflectKey} -d '{}' ${list}`,
  ];
  return `\n${paint("strong", "What to try next, in another terminal:")}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

// What lies in the usual folder the command line finds by itself.
function clientFlags({ api, ca, keyFile }: NextSteps): string {
  if (keyFile !== undefined) {
    return isUsual(keyFile) ? "" : ` --key-file ${quoted(keyFile)}`;
  }
  const server = api === defaultApiServer ? "" : ` --server ${api}`;
  return ca === undefined || isUsual(ca) ? server : `${server} --ca ${quoted(ca)}`;
}

// The key itself stays out of the terminal and of the shell's history.
function keyIn(keyFile: string): string {
  return `$(sed -n 's/.*"apiKey": *"\\([^"]*\\)".*/\\1/p' ${quoted(keyFile)})`;
}

function isUsual(path: string): boolean {
  return resolve(path).startsWith(resolve(defaultDataFolder) + sep);
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
