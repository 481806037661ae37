import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import { ApiKeySchema, ApiKeyState } from "../../gen/fairlead/access/v1/api_key_pb.js";
import type { ApiKey } from "../../gen/fairlead/access/v1/api_key_pb.js";
import { Role } from "../../gen/fairlead/access/v1/role_pb.js";
import { parseDuration } from "../grammar/duration.ts";
import { collect, parseKeyValue } from "../grammar/key-value.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { agoInWords, momentInWords } from "../output/times.ts";
import { collectItems, largestPage } from "../pages.ts";
import { settleInOrder } from "../settle-in-order.ts";

interface CreateOptions {
  readonly role: string;
  readonly description?: string;
  /** Milliseconds. */
  readonly lifetime?: number;
}

const roles: Readonly<Record<string, Role>> = {
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};

/** `fairlead keys`: who may call the API. */
export function addKeysCommand(parent: Command, line: CommandLine): void {
  const keys = parent
    .command("keys")
    .summary("create, list and revoke the keys that let people and programs in")
    .addHelpText("after", examples);
  const create = keys
    .command("create")
    .summary("create a key; its secret is told this once")
    .argument("<name>", "in whose name its calls are done")
    .addOption(new Option("--role <role>", "what it may do").choices(Object.keys(roles)).default("viewer"))
    .option("--description <text>", "what it is for")
    .option(
      "--lifetime <duration>",
      'how long it lives, for example "90d", or "never" (default 365d)',
      lifetime,
    )
    .option(
      "--host-label <label>",
      'only for hosts with this label, "key=value" or "key"; all of several',
      collect(label),
    );
  addClientOptions(create).action(clientAction<CreateOptions & LabelOptions>(line, createKey));
  const list = keys.command("ls", { isDefault: true }).summary("list keys, never their secrets");
  addClientOptions(list).action(clientAction(line, printKeys));
  const revoke = keys.command("revoke").summary("revoke keys, at once").argument("<key...>", "id or name");
  addClientOptions(revoke).action(clientAction(line, revokeKeys));
}

interface LabelOptions {
  readonly hostLabel?: readonly string[];
}

function lifetime(text: string): number {
  return text === "never" ? Number.POSITIVE_INFINITY : parseDuration(text);
}

function label(text: string): string {
  parseKeyValue(text);
  return text;
}

async function createKey(
  invocation: Invocation,
  options: CreateOptions & LabelOptions,
  [name = ""]: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const { lifetime: lifetimeMs, role, description = "", hostLabel = [] } = options;
  const never = lifetimeMs === Number.POSITIVE_INFINITY;
  const { key, apiKey } = await client.apiKeys.createApiKey(
    {
      name,
      description,
      role: roles[role] ?? Role.UNSPECIFIED,
      hostSelector: [...hostLabel],
      neverExpires: never,
      ...(lifetimeMs === undefined || never ? {} : { lifetime: durationFromMs(lifetimeMs) }),
    },
    call,
  );
  if (invocation.json) {
    invocation.printJson({ apiKey: apiKey && messageToJson(ApiKeySchema, apiKey), key });
    return;
  }
  invocation.print(`${escapeText(key)}\n`);
  invocation.hint("It is not shown again. Callers use it as FAIRLEAD_API_KEY, or in a key file.");
}

async function printKeys(invocation: Invocation): Promise<void> {
  const { client, call, environment } = invocation;
  const keys = await collectItems(
    (pageToken) => client.apiKeys.listApiKeys({ pageSize: largestPage, pageToken }, call),
    (page) => page.apiKeys,
  );
  if (invocation.json) {
    invocation.printJson(keys.map((key) => messageToJson(ApiKeySchema, key)));
    return;
  }
  const nowMs = environment.clock.now();
  invocation.print(
    formatTable(
      ["KEY ID", "NAME", "ROLE", "HOSTS", "STATE", "CREATED", "EXPIRES", "LAST USED", "DESCRIPTION"],
      keys.map((key) => rowOf(key, nowMs, invocation)),
    ),
  );
}

async function revokeKeys(invocation: Invocation, _options: object, keys: readonly string[]): Promise<void> {
  const { client, call } = invocation;
  const revoked = await settleInOrder(keys, (key) => client.apiKeys.revokeApiKey({ key }, call), {
    onAnswer: (_answer, index) => {
      if (!invocation.json) {
        invocation.print(`${escapeText(keys[index] ?? "")}\n`);
      }
    },
    onFailure: (error, index) => invocation.fail(error, keys.length > 1 ? keys[index] : undefined),
  });
  if (invocation.json) {
    invocation.printJson(
      revoked.flatMap(({ apiKey }) => (apiKey === undefined ? [] : [messageToJson(ApiKeySchema, apiKey)])),
    );
  }
}

function rowOf(key: ApiKey, nowMs: number, { paint }: Invocation): string[] {
  const role = Object.keys(roles).find((word) => roles[word] === key.role) ?? "unknown";
  const active = key.state === ApiKeyState.ACTIVE;
  const word = ApiKeyState[key.state]?.toLowerCase() ?? "unknown";
  return [
    escapeText(key.id),
    escapeText(key.name),
    role,
    key.hostSelector.length === 0 ? "all" : escapeText(key.hostSelector.join(",")),
    paint(active ? "good" : "faint", word),
    agoInWords(key.createTime, nowMs),
    key.expireTime === undefined ? "Never" : momentInWords(key.expireTime),
    key.lastUseTime === undefined ? "Never" : agoInWords(key.lastUseTime, nowMs),
    escapeText(key.description),
  ];
}

const examples = `
Examples:
  fairlead keys create grafana                                   reads, for a year
  fairlead keys create deploy --role operator --lifetime 90d
  fairlead keys create berlin --role operator --host-label site=berlin
  fairlead keys revoke deploy
`;
