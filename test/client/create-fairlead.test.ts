import assert from "node:assert/strict";
import { createFairlead, type FairleadOptions } from "../../src/client/create-fairlead.ts";
import { FleetError } from "../../src/domain/errors.ts";
import { type Answers, closeApis, serveAnswers } from "../cli/command-line.ts";

const quick = { firstDelayMs: 1, longestDelayMs: 2 };
const protocols = ["connect", "grpc"] as const;

describe("the client", () => {
  const clients: Disposable[] = [];

  afterEach(async () => {
    clients.splice(0).forEach((client) => client[Symbol.dispose]());
    await closeApis();
  });

  function connectTo(server: string, options: Partial<FairleadOptions> = {}) {
    const client = createFairlead({ server, retry: quick, ...options });
    clients.push(client);
    return client;
  }

  for (const protocol of protocols) {
    it(`calls and answers over ${protocol}, with the API key as a bearer token`, async () => {
      const keys: (string | null)[] = [];
      const server = await serveAnswers(
        {
          containers: {
            startContainer: ({ container }) => ({ commandId: `for ${container}`, changed: true }),
          },
        },
        (headers) => keys.push(headers.get("authorization")),
      );
      const client = connectTo(server, { protocol, apiKey: "key-1" });
      const answer = await client.containers.startContainer({ container: "web" });
      assert.deepEqual([answer.commandId, answer.changed, keys], ["for web", true, ["Bearer key-1"]]);
    });

    it(`C12 an error arrives over ${protocol} as it was thrown: reason, words, facts, fields, and when to come back`, async () => {
      const thrown = new FleetError("CIRCUIT_OPEN", "the circuit is open", {
        metadata: { command_id: "c-1" },
        violations: [{ field: "a.b", description: "is odd" }],
        retryAfterMs: 1500,
      });
      const server = await serveAnswers({
        hosts: {
          getHost: () => {
            throw thrown;
          },
        },
      });
      const error = await failure(connectTo(server, { protocol }).hosts.getHost({ host: "web-1" }));
      assert.deepEqual(
        [error.reason, error.message, error.metadata["command_id"], error.violations, error.retryAfterMs],
        ["CIRCUIT_OPEN", "the circuit is open", "c-1", thrown.violations, 1500],
      );
    });

    it(`says over ${protocol} where nobody answers`, async () => {
      const server = await serveAnswers({});
      await closeApis();
      const error = await failure(connectTo(server, { protocol }).hosts.listHosts({}));
      assert.equal(error.reason, "SERVER_UNREACHABLE");
      assert.match(
        error.message,
        new RegExp(`the control plane at ${server} cannot be reached \\(ECONNREFUSED\\)`),
      );
    });

    it(`ends a stream over ${protocol} with a FleetError, after what came before`, async () => {
      const server = await serveAnswers({
        events: {
          async *watchEvents() {
            yield { cursor: 7n };
            throw new FleetError("CURSOR_EXPIRED", "too old");
          },
        },
      });
      const cursors: bigint[] = [];
      const reading = async () => {
        for await (const { cursor } of connectTo(server, { protocol }).events.watchEvents({})) {
          cursors.push(cursor);
        }
      };
      assert.equal((await failure(reading())).reason, "CURSOR_EXPIRED");
      assert.deepEqual(cursors, [7n]);
    });
  }

  it("repeats what the schema says is idempotent, or has a request id, and nothing else", async () => {
    const { calls, answers } = reluctant(2, new FleetError("OVERLOADED", "come back"));
    const client = connectTo(await serveAnswers(answers));
    await client.containers.listContainers({});
    await client.registrationTokens.revokeRegistrationToken({ id: "t" });
    await client.hosts.deleteHost({ host: "h" });
    assert.equal(
      (await failure(client.containers.startContainer({ container: "web" }))).reason,
      "OVERLOADED",
    );
    assert.deepEqual(calls, { list: 3, start: 1, revoke: 3, remove: 3 });
    await client.containers.startContainer({ container: "web", requestId: "once" });
    assert.equal(calls.start, 3);
  });

  it("gives up after the tries it was given", async () => {
    const { calls, answers } = reluctant(9, new FleetError("OVERLOADED", "come back"));
    const client = connectTo(await serveAnswers(answers), { retry: { ...quick, attempts: 2 } });
    await failure(client.containers.listContainers({}));
    assert.equal(calls.list, 2);
  });

  it("does not repeat what the control plane has tried again itself, or what no repetition helps", async () => {
    for (const reason of ["ENGINE_UNAVAILABLE", "AGENT_DISCONNECTED", "CONTAINER_NOT_FOUND"] as const) {
      const { calls, answers } = reluctant(1, new FleetError(reason, "no"));
      await failure(connectTo(await serveAnswers(answers)).containers.listContainers({}));
      assert.equal(calls.list, 1, reason);
    }
  });

  it("C17 a repetition that would pass the deadline is not waited for", async () => {
    const { calls, answers } = reluctant(9, new FleetError("OVERLOADED", "later", { retryAfterMs: 60_000 }));
    const client = connectTo(await serveAnswers(answers), { timeoutMs: 1_000 });
    assert.equal((await failure(client.containers.listContainers({}))).reason, "OVERLOADED");
    assert.equal(calls.list, 1);
  });

  it("C03 a call that gets no answer ends with its deadline", async () => {
    const answers: Answers = {
      hosts: {
        listHosts: (_request, { signal }) =>
          new Promise((_, reject) => signal.addEventListener("abort", reject)),
      },
    };
    const error = await failure(
      connectTo(await serveAnswers(answers), { timeoutMs: 60 }).hosts.listHosts({}),
    );
    assert.equal(error.reason, "DEADLINE_EXCEEDED");
  });

  it("waits for a command as long as it may take, and a little longer", async () => {
    let left: number | undefined;
    const answers: Answers = {
      containers: {
        stopContainer: (_request, context) => {
          left = context.timeoutMs();
          return {};
        },
      },
    };
    await connectTo(await serveAnswers(answers)).containers.stopContainer({
      container: "web",
      timeout: { seconds: 200n },
      gracePeriod: { seconds: 100n },
    });
    assert.ok(left !== undefined && left > 300_000 && left <= 305_000, `${left}`);
  });

  it("ends open streams when it is closed", async () => {
    const server = await serveAnswers({
      events: {
        async *watchEvents(_request, { signal }) {
          yield { cursor: 1n };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      },
    });
    for (const protocol of protocols) {
      const client = connectTo(server, { protocol });
      const stream = client.events.watchEvents({})[Symbol.asyncIterator]();
      await stream.next();
      client.close();
      assert.ok((await failure(stream.next())) instanceof FleetError);
    }
  });

  it("takes an address with or without a scheme, and refuses what is none", () => {
    assert.equal(createFairlead({ server: "127.0.0.1:7080" }).server, "https://127.0.0.1:7080");
    assert.equal(createFairlead({ server: "https://fleet.test/api/" }).server, "https://fleet.test/api");
    for (const server of ["", "ftp://fleet.test", "http://", "::", "a b"]) {
      assert.throws(() => createFairlead({ server }), { reason: "INVALID_ARGUMENT" }, server);
    }
  });
});

async function failure(promise: Promise<unknown>): Promise<FleetError> {
  const error = await promise.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof FleetError, String(error));
  return error;
}

/** An API that refuses the first calls of each kind, and counts them. */
function reluctant(refusals: number, error: FleetError) {
  const calls = { list: 0, start: 0, revoke: 0, remove: 0 };
  const answer = (kind: keyof typeof calls) => () => {
    calls[kind] += 1;
    if (calls[kind] <= refusals) {
      throw error;
    }
    return {};
  };
  const answers: Answers = {
    containers: { listContainers: answer("list"), startContainer: answer("start") },
    tokens: { revokeRegistrationToken: answer("revoke") },
    hosts: { deleteHost: answer("remove") },
  };
  return { calls, answers };
}
