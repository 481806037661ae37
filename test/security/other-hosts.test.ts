import assert from "node:assert/strict";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
} from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { Role } from "../../src/gen/fairlead/access/v1/role_pb.js";
import { InventoryUpdateSchema } from "../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { requiredRole } from "../../src/rpc/required-role.ts";
import { guardedControlPlane } from "../control-plane/access/guarded-control-plane.ts";
import { connectTransport, pageOf, protocols } from "../support/api-place.ts";
import { apiServices } from "../support/schema-services.ts";

type Init = Readonly<Record<string, unknown>>;

/** A fleet of two hosts, of which a key may see the one that has nothing. */
async function fleetOfTwo() {
  const guarded = await guardedControlPlane();
  const { plane } = guarded;
  const berlin = await plane.enrolled({ displayName: "berlin" });
  const paris = await plane.enrolled({ displayName: "paris" });
  const update = (host: string, labels: Record<string, string>) =>
    guarded.client(HostService).updateHost({ host, labels: { labels } });
  await update("berlin", { site: "berlin" });
  await update("paris", { site: "louvre" });
  const container = { id: "4".repeat(64), name: "only-paris", image: "mona-lisa:1" };
  plane.controlPlane.inventory.apply(
    paris.welcome?.hostId ?? "",
    create(InventoryUpdateSchema, { update: { case: "container", value: container } }),
  );
  const stopped = guarded.client(ContainerService).stopContainer({ container: container.name });
  paris.succeed(await paris.command(), true);
  const { commandId } = await stopped;
  const { agentId, engineId } = paris.identity;
  const hostId = paris.welcome?.hostId ?? "";
  return {
    guarded,
    berlin,
    paris,
    key: await guarded.newKey("part", Role.ADMIN, { hostSelector: ["site=berlin"] }),
    /** What a caller may say of Paris, by the name of the field that it says it in. */
    words: {
      host: "paris",
      hosts: ["paris"],
      container: container.name,
      containers: [container.name],
      id: commandId,
      command_id: commandId,
      engine_id: engineId,
      exec_id: "none",
      name: "new",
      new_name: "new",
      key: "admin",
      role: Role.ADMIN,
      sequence: 1n,
      path: "/etc",
    },
    /** What nobody says who does not know of Paris. */
    secrets: [hostId, agentId, engineId, container.id, container.image, "louvre"],
  };
}

type FleetOfTwo = Awaited<ReturnType<typeof fleetOfTwo>>;

// Messages within requests in which something is said of Paris, and those that only have to be there.
const parts = new Set(["start", "selector", "filter"]);
const fixed: Init = {
  spec: { image: "nginx" },
  update: { milliCpus: 500 },
  exec: { command: ["true"] },
  input: { input: { case: "end", value: {} } },
};

/** A request that says of Paris whatever its fields have room for. */
function requestAbout(message: DescMessage, words: Init): Init {
  const said = message.fields.flatMap((field): [string, unknown][] => {
    const { name, localName, fieldKind } = field;
    if (fieldKind !== "message") return name in words ? [[localName, words[name]]] : [];
    if (name in fixed) return [[localName, fixed[name]]];
    return parts.has(name) ? [[localName, requestAbout(field.message, words)]] : [];
  });
  const [group] = message.oneofs;
  if (group === undefined) return Object.fromEntries(said);
  const [first] = said;
  return first === undefined ? {} : { [group.localName]: { case: first[0], value: first[1] } };
}

// Long enough for what is answered at once; hosts of this fleet answer nothing.
const streamMs = 500;

/** Where a container or a selector may be given and not both, a request of each. */
function requestsAbout(message: DescMessage, words: Init): Init[] {
  const request = requestAbout(message, words);
  if (!("container" in request && "selector" in request)) return [request];
  const { container, host, selector, ...rest } = request;
  return [
    { ...rest, container, host },
    { ...rest, selector },
  ];
}

interface Answered {
  readonly text: string;
  readonly reason: string;
}

/** Everything that a call is answered with, of a stream what comes at once. */
async function answerTo(transport: Transport, method: DescMethod, request: Init): Promise<Answered> {
  const texts: string[] = [];
  try {
    if (method.methodKind === "unary") {
      const unary = method as DescMethodUnary;
      texts.push(textOf((await transport.unary(unary, undefined, 3_000, undefined, request)).message));
    } else {
      const requests = (async function* () {
        yield request;
      })();
      const streaming = method as DescMethodStreaming;
      const { message } = await transport.stream(streaming, undefined, streamMs, undefined, requests);
      for await (const each of message) texts.push(textOf(each));
    }
    return { text: texts.join("\n"), reason: "OK" };
  } catch (error) {
    const { reason, metadata, violations } = fleetErrorFrom(error);
    const { rawMessage } = ConnectError.from(error);
    return { text: `${texts.join("\n")} ${rawMessage} ${textOf({ metadata, violations })}`, reason };
  }
}

function textOf(message: unknown): string {
  return JSON.stringify(message, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value));
}

function leaked({ text }: Answered, secrets: readonly string[]): readonly string[] {
  return secrets.filter((secret) => text.includes(secret));
}

const hidden = /^([A-Z]+_NOT_FOUND|PERMISSION_DENIED)$/;

/** What concerns no host by itself: what it is told of is limited in its answer. */
const lists = (request: Init) => Object.keys(request).length === 0;

/** Those that are answered without the host. */
const plainReads = new Set([
  "GetHost",
  "ListHosts",
  "ListEvents",
  "ListContainers",
  "GetContainer",
  "GetCommand",
  "WatchCommand",
  "ListCommands",
]);

describe("hosts that a key may not see", function () {
  this.timeout(60_000);
  let fleet: FleetOfTwo;
  beforeEach(async () => {
    fleet = await fleetOfTwo();
  });
  afterEach(() => fleet.guarded[Symbol.asyncDispose]());

  it("V06 are not there for any RPC that names them, and are in no answer of any other, whatever the key's role", async () => {
    const { guarded, key, words, secrets, paris } = fleet;
    const transport = protocols["gRPC"]?.(guarded, key) ?? assert.fail();
    const framesBefore = paris.frames.flatMap(({ commands }) => commands).length;
    let tried = 0;
    for (const method of (await apiServices()).flatMap(({ methods }) => methods)) {
      for (const about of requestsAbout(method.input, words)) {
        const answer = await answerTo(transport, method, about);
        const label = `${method.parent.name}.${method.name} ${textOf(about)}: ${answer.reason} ${answer.text}`;
        assert.deepEqual(leaked(answer, secrets), [], label);
        if (!lists(about) || requiredRole(method) === Role.ADMIN) assert.match(answer.reason, hidden, label);
      }
      const plain = await answerTo(transport, method, {});
      const nothingOf = [...secrets, "paris", words.id];
      assert.deepEqual(leaked(plain, nothingOf), [], `${method.name} {}: ${plain.text}`);
      tried += 1;
    }
    assert.ok(tried >= 40);
    await guarded.client(HostService).getHost({ host: "paris" });
    assert.equal(paris.frames.flatMap(({ commands }) => commands).length, framesBefore);
  });

  it("V06 are told of by the same requests to a key of the whole fleet", async () => {
    const { guarded, words, secrets } = fleet;
    const transport = connectTransport(guarded, guarded.adminKey);
    const telling = new Set<string>();
    for (const method of (await apiServices()).flatMap(({ methods }) => methods)) {
      if (!plainReads.has(method.name)) continue;
      const answer = await answerTo(transport, method, requestAbout(method.input, words));
      if (leaked(answer, secrets).length > 0) telling.add(method.name);
    }
    assert.deepEqual(telling, plainReads);
  });

  it("V06 are behind no page token that a key of the whole fleet was given", async () => {
    const { guarded, key, secrets } = fleet;
    const [all, part] = [connectTransport(guarded, guarded.adminKey), connectTransport(guarded, key)];
    let tokens = 0;
    for (const method of (await apiServices()).flatMap(({ methods }) => methods)) {
      if (!method.input.fields.some(({ name }) => name === "page_token")) continue;
      const first = await all.unary(method as DescMethodUnary, undefined, 5_000, undefined, { pageSize: 1 });
      const { nextPageToken } = first.message as unknown as { readonly nextPageToken: string };
      if (nextPageToken === "") continue;
      tokens += 1;
      const answer = await answerTo(part, method, { pageSize: 1, pageToken: nextPageToken });
      assert.deepEqual(leaked(answer, secrets), [], `${method.name}: ${answer.text}`);
    }
    assert.ok(tokens >= 2);
  });

  it("V06 count in no figures that such a key is shown", async () => {
    const { guarded, key } = fleet;
    const metrics = async (bearer: string) =>
      (await pageOf(guarded, "/metrics", { authorization: `Bearer ${bearer}` })).status;
    assert.deepEqual([await metrics(key), await metrics(guarded.adminKey)], [403, 200]);
  });
});
