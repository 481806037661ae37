import type { Command } from "commander";
import {
  type Authority,
  AuthoritySchema,
  AuthorityState,
} from "../../gen/fairlead/authority/v1/authority_pb.js";
import type { AuthorityCertificate } from "../../gen/fairlead/authority/v1/authority_pb.js";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { momentInWords } from "../output/times.ts";
import { collectItems, largestPage } from "../pages.ts";

interface ForceOptions {
  readonly force?: boolean;
}

/** `fairlead authority`: replaces the certificate authority that agents and callers trust. */
export function addAuthorityCommand(parent: Command, line: CommandLine): void {
  const authority = parent
    .command("authority")
    .summary("see and replace the certificate authority that agents and callers trust")
    .addHelpText("after", examples);
  const show = authority
    .command("status", { isDefault: true })
    .summary("how far a replacement is, and which hosts have not heard of it");
  addClientOptions(show).action(clientAction(line, printStatus));
  const rotate = authority
    .command("rotate")
    .summary("make a successor and tell the agents; it is not used yet");
  addClientOptions(rotate).action(clientAction(line, rotateAuthority));
  const change = authority
    .command("switch")
    .summary("put the successor in force, once every agent that is online trusts it")
    .option("-f, --force", "also when agents that are online have not confirmed it");
  addClientOptions(change).action(clientAction<ForceOptions>(line, switchAuthority));
  const retire = authority
    .command("retire")
    .summary("forget the one before, once every host trusts the one in force")
    .option("-f, --force", "also when hosts have not confirmed it; they have to be enrolled again");
  addClientOptions(retire).action(clientAction<ForceOptions>(line, retireAuthority));
}

const examples = `
Examples:
  fairlead authority rotate
  fairlead authority          until all that are online have heard of it
  fairlead authority switch
  fairlead authority retire   when the hosts that were away have been back
`;

async function rotateAuthority(invocation: Invocation): Promise<void> {
  const { client, call } = invocation;
  print(invocation, (await client.authority.rotateAuthority({}, call)).authority);
}

async function switchAuthority(invocation: Invocation, { force = false }: ForceOptions): Promise<void> {
  const { client, call } = invocation;
  print(invocation, (await client.authority.switchAuthority({ force }, call)).authority);
}

async function retireAuthority(invocation: Invocation, { force = false }: ForceOptions): Promise<void> {
  const { client, call } = invocation;
  print(invocation, (await client.authority.retireAuthority({ force }, call)).authority);
}

async function printStatus(invocation: Invocation): Promise<void> {
  const { client, call } = invocation;
  const { authority } = await client.authority.getAuthority({}, call);
  print(invocation, authority);
  const isComplete = authority?.informedHostCount === authority?.hostCount;
  if (invocation.json || isComplete) return;
  const hosts = await collectItems(
    (pageToken) => client.authority.listUninformedHosts({ pageSize: largestPage, pageToken }, call),
    (page) => page.hosts,
  );
  const rows = hosts.map(({ hostName, online }) => [escapeText(hostName), online ? "online" : "offline"]);
  invocation.print(`\n${formatTable(["NOT READY", "STATE"], rows)}`);
}

const stateText: Readonly<Record<AuthorityState, string>> = {
  [AuthorityState.UNSPECIFIED]: "unknown",
  [AuthorityState.STEADY]: "steady",
  [AuthorityState.PREPARED]: "prepared: the successor is not in force yet",
  [AuthorityState.SWITCHED]: "switched: the one before still lets in who knows no other",
};

const nextStep: Partial<Readonly<Record<AuthorityState, string>>> = {
  [AuthorityState.PREPARED]: "Next: fairlead authority switch, when every host that is online is ready.",
  [AuthorityState.SWITCHED]: "Next: fairlead authority retire, when every host is ready.",
};

function print(invocation: Invocation, authority: Authority | undefined): void {
  if (authority === undefined) return;
  if (invocation.json) {
    invocation.printJson(messageToJson(AuthoritySchema, authority));
    return;
  }
  const { state, current, successor, previous, hostCount, informedHostCount } = authority;
  const offline = hostCount - informedHostCount - authority.uninformedOnlineHostCount;
  const missing = `${authority.uninformedOnlineHostCount} online and ${offline} offline are not`;
  const rows = [
    ["State", stateText[state]],
    ...certificateRow("In force", current),
    ...certificateRow("Successor", successor),
    ...certificateRow("Before", previous),
    [
      "Hosts",
      `${informedHostCount} of ${hostCount} are ready for the newest${informedHostCount === hostCount ? "" : `; ${missing}`}`,
    ],
  ];
  const width = Math.max(...rows.map(([name = ""]) => name.length)) + 2;
  invocation.print(rows.map(([name = "", text = ""]) => `${name.padEnd(width)}${text}\n`).join(""));
  const next = nextStep[state];
  if (next !== undefined) invocation.hint(`\n${next}`);
}

function certificateRow(name: string, certificate: AuthorityCertificate | undefined): [string, string][] {
  if (certificate === undefined) return [];
  return [[name, `${escapeText(certificate.digest)}, until ${momentInWords(certificate.expireTime)}`]];
}
