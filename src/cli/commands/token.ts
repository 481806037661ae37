import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import {
  RegistrationTokenSchema,
  RegistrationTokenState,
} from "../../gen/fairlead/registration/v1/registration_token_pb.js";
import type { RegistrationToken } from "../../gen/fairlead/registration/v1/registration_token_pb.js";
import { parseDuration } from "../grammar/duration.ts";
import { wholeNumber } from "../grammar/number.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { agoInWords, durationInWords } from "../output/times.ts";
import { collectItems, largestPage } from "../pages.ts";
import { settleInOrder } from "../settle-in-order.ts";

interface CreateOptions {
  readonly description?: string;
  /** Milliseconds. */
  readonly lifetime?: number;
  readonly maxUses?: number;
  readonly host?: string;
}

/** `fairlead token`: what lets agents enrol. */
export function addTokenCommand(parent: Command, line: CommandLine): void {
  const token = parent
    .command("token")
    .summary("create, list and revoke the tokens that let agents enrol")
    .addHelpText("after", examples);
  const create = token
    .command("create")
    .summary("create a token; its secret is told this once")
    .option("--description <text>", "what it is for")
    .option("--lifetime <duration>", 'how long it can be used, for example "1h" (default 15m)', parseDuration)
    .option("--max-uses <count>", "how many agents it may enrol (default 1)", wholeNumber(1, 10_000))
    .option(
      "--host <host>",
      "name or id of a host that lost its agent's identity: it comes back as that host",
    );
  addClientOptions(create).action(clientAction<CreateOptions>(line, createToken));
  const list = token.command("ls").summary("list tokens, never their secrets");
  addClientOptions(list).action(clientAction(line, printTokens));
  const revoke = token
    .command("revoke")
    .summary("revoke tokens")
    .argument("<id...>", "as `token ls` shows it");
  addClientOptions(revoke).action(clientAction(line, revokeTokens));
}

async function createToken(invocation: Invocation, options: CreateOptions): Promise<void> {
  const { client, call } = invocation;
  const { token, registrationToken } = await client.registrationTokens.createRegistrationToken(
    {
      description: options.description ?? "",
      maxUses: options.maxUses ?? 0,
      host: options.host ?? "",
      ...(options.lifetime === undefined ? {} : { lifetime: durationFromMs(options.lifetime) }),
    },
    call,
  );
  if (invocation.json) {
    const kept = registrationToken && messageToJson(RegistrationTokenSchema, registrationToken);
    invocation.printJson({ registrationToken: kept, token });
    return;
  }
  invocation.print(`${escapeText(token)}\n`);
  invocation.hint(
    "On the host that shall join: fairlead agent --server <control plane>:7443 --token <this token>",
  );
}

async function printTokens(invocation: Invocation): Promise<void> {
  const { client, call, environment } = invocation;
  const tokens = await collectItems(
    (pageToken) =>
      client.registrationTokens.listRegistrationTokens({ pageSize: largestPage, pageToken }, call),
    (page) => page.registrationTokens,
  );
  if (invocation.json) {
    invocation.printJson(tokens.map((token) => messageToJson(RegistrationTokenSchema, token)));
    return;
  }
  const nowMs = environment.clock.now();
  invocation.print(
    formatTable(
      ["TOKEN ID", "STATE", "USES", "CREATED", "EXPIRES", "CREATED BY", "DESCRIPTION"],
      tokens.map((token) => rowOf(token, nowMs, invocation)),
    ),
  );
}

async function revokeTokens(invocation: Invocation, _options: object, ids: readonly string[]): Promise<void> {
  const { client, call } = invocation;
  const revoke = (id: string) => client.registrationTokens.revokeRegistrationToken({ id }, call);
  const revoked = await settleInOrder(ids, revoke, {
    onAnswer: (_answer, index) => {
      if (!invocation.json) {
        invocation.print(`${escapeText(ids[index] ?? "")}\n`);
      }
    },
    onFailure: (error, index) => invocation.fail(error, ids.length > 1 ? ids[index] : undefined),
  });
  if (invocation.json) {
    invocation.printJson(
      revoked.flatMap(({ registrationToken: token }) =>
        token === undefined ? [] : [messageToJson(RegistrationTokenSchema, token)],
      ),
    );
  }
}

const stateWord: Readonly<Record<RegistrationTokenState, string>> = {
  [RegistrationTokenState.UNSPECIFIED]: "unknown",
  [RegistrationTokenState.ACTIVE]: "active",
  [RegistrationTokenState.USED_UP]: "used up",
  [RegistrationTokenState.EXPIRED]: "expired",
  [RegistrationTokenState.REVOKED]: "revoked",
};

function rowOf(token: RegistrationToken, nowMs: number, { paint }: Invocation): string[] {
  const active = token.state === RegistrationTokenState.ACTIVE;
  return [
    escapeText(token.id),
    paint(active ? "good" : "faint", stateWord[token.state] ?? "unknown"),
    `${token.useCount}/${token.maxUses}`,
    agoInWords(token.createTime, nowMs),
    expiry(token, nowMs),
    escapeText(token.createdBy),
    escapeText(token.description),
  ];
}

function expiry({ expireTime }: RegistrationToken, nowMs: number): string {
  const leftMs = expireTime === undefined ? 0 : timestampMs(expireTime) - nowMs;
  return leftMs > 0 ? `In ${durationInWords(leftMs)}` : agoInWords(expireTime, nowMs);
}

const examples = `
Examples:
  fairlead token create                                one agent, within 15 minutes
  fairlead token create --max-uses 20 --lifetime 1h    a rack of hosts
  fairlead token ls                                    which can still be used
`;
