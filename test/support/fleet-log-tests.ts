import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { FleetError } from "../../src/domain/errors.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { OutputStream } from "../../src/gen/fairlead/container/v1/log_pb.js";
import type {
  StreamLogsRequestSchema,
  StreamLogsResponse,
} from "../../src/gen/fairlead/container/v1/log_service_pb.js";
import { eventually } from "./control-plane-harness.ts";
import { noGrace, patienceMs } from "./fleet.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

type Request = MessageInitShape<typeof StreamLogsRequestSchema>;
type Batch = Extract<StreamLogsResponse["message"], { case: "batch" }>["value"];

const batchesOf = (messages: readonly StreamLogsResponse[]): Batch[] =>
  messages.flatMap(({ message }) => (message.case === "batch" ? [message.value] : []));

const textOf = (messages: readonly StreamLogsResponse[]) =>
  Buffer.concat(batchesOf(messages).flatMap(({ records }) => records.map(({ data }) => data))).toString(
    "utf8",
  );

const recordsOf = (messages: readonly StreamLogsResponse[]) =>
  batchesOf(messages).flatMap(({ records }) => records);

const lastCursor = (messages: readonly StreamLogsResponse[]) => batchesOf(messages).at(-1)?.cursor ?? "";

/** Logs, through the API. */
export function logTests(kit: FleetKit): void {
  const read = (request: Request) => Array.fromAsync(kit.fleet.api.logs.streamLogs(request));

  const ended = async (script: string) => {
    const container = await kit.make({ command: ["sh", "-c", script] });
    await kit.fleet.untilContainer(container.id, ({ state }) => state === ContainerState.EXITED);
    return container;
  };

  it("O11 tells a log to its end, whose it is, the two outputs apart and in order, and its last lines alone", async () => {
    const { id, name } = await ended("echo one; echo two >&2; echo three");
    const messages = await read({ container: name });
    // Docker carries the two outputs side by side, and may write down what comes from one before what was said earlier to the other.
    assert.equal(textOf(await read({ container: name, streams: [OutputStream.STDOUT] })), "one\nthree\n");
    const records = recordsOf(messages);
    assert.equal(records.length, 3);
    const [batch] = batchesOf(messages);
    assert.equal(batch?.source?.containerId, id);
    assert.equal(batch.source.containerName, name);
    assert.equal(batch.source.host?.name, main);
    for (const { stream, data } of records) {
      const isError = Buffer.from(data).toString() === "two\n";
      assert.equal(stream, isError ? OutputStream.STDERR : OutputStream.STDOUT);
    }
    const last = messages.at(-1)?.message;
    assert.ok(last?.case === "end" && last.value.reason === "");
    assert.deepEqual(recordsOf(await read({ container: name, tail: 1 })), records.slice(-1));
    assert.equal(textOf(await read({ container: name, tail: 0 })), "");
    assert.equal(textOf(await read({ container: name, streams: [OutputStream.STDERR] })), "two\n");
  });

  it("O11 only what matches crosses the network, by text or by an expression", async () => {
    const { name } = await ended("echo apple; echo pear; echo pineapple");
    const matching = (
      pattern: Extract<NonNullable<Request["match"]>["pattern"], { case: string }>,
      more = {},
    ) => read({ container: name, match: { pattern, ...more } }).then(textOf);
    assert.equal(await matching({ case: "text", value: "apple" }), "apple\npineapple\n");
    assert.equal(await matching({ case: "regex", value: "^P.*e$" }, { ignoreCase: true }), "pineapple\n");
    assert.equal(await matching({ case: "text", value: "apple" }, { invert: true }), "pear\n");
    await assert.rejects(
      matching({ case: "regex", value: "(" }),
      (error) => error instanceof FleetError && error.reason === "INVALID_ARGUMENT",
    );
  });

  it("O12 a line of 1 MB arrives unharmed", async () => {
    const { name } = await ended("head -c 1000000 /dev/zero; echo");
    const text = textOf(await read({ container: name }));
    assert.ok(text === `${"\0".repeat(1_000_000)}\n`, `${text.length} characters came`);
  });

  it("O11 follows a log while it is written, and ends with the container", async () => {
    const { id, name } = await kit.make({ command: ["sh", "-c", "echo begun; sleep 600"] });
    const messages: StreamLogsResponse[] = [];
    for await (const message of kit.fleet.api.logs.streamLogs({ container: name, follow: true })) {
      messages.push(message);
      if (message.message.case === "batch") await kit.fleet.api.containers.killContainer({ container: id });
    }
    assert.equal(textOf(messages), "begun\n");
    assert.equal(messages.at(-1)?.message.case, "end");
  });

  it("D06 a reader that comes back with its cursor has no gap and no repeat, wherever it left", async () => {
    const { id, name } = await ended("echo 1; echo 2; echo 3 >&2; echo 4; echo 5 >&2; echo 6");
    const whole = await read({ container: name });
    const records = recordsOf(whole);
    const numbersOf = (messages: typeof whole) => textOf(messages).split("\n").slice(0, -1).map(Number);
    // In the order in which the engine has them, which knows no order between the two outputs.
    const numbers = numbersOf(whole);
    assert.deepEqual(new Set(numbers), new Set([1, 2, 3, 4, 5, 6]));
    const timesBefore: string[] = [];
    for (const [index, { time }] of records.entries()) {
      const timeNs = `${time?.seconds}${`${time?.nanos}`.padStart(9, "0")}`;
      timesBefore.push(timeNs);
      const cursor = `${id}.${timeNs}.${timesBefore.filter((other) => other === timeNs).length}`;
      if (index === records.length - 1) assert.equal(lastCursor(whole), cursor);
      const rest = await read({ container: name, cursors: [cursor] });
      assert.deepEqual(numbersOf(rest), numbers.slice(index + 1));
    }
  });

  it("D06 says that records are missing when the engine no longer has what the cursor stands behind", async () => {
    const { id, name } = await ended("echo only");
    const messages = await read({ container: name, cursors: [`${id}.1000000000.1`] });
    assert.equal(messages.filter(({ message }) => message.case === "gap").length, 1);
    assert.equal(textOf(messages), "only\n");
  });

  it("O11 several containers in one stream, each line with its host and container", async () => {
    const labels = kit.freshLabels();
    const names = await Promise.all(
      ["a", "b"].map(async (word) => {
        const spec = {
          image: "fairlead-test/busybox:latest",
          command: ["sh", "-c", `echo from ${word}`],
          labels,
        };
        const { container } = await kit.fleet.api.containers.createContainer({
          host: main,
          name: kit.engine.uniqueName(),
          spec,
          start: true,
        });
        assert.ok(container !== undefined);
        await kit.fleet.untilContainer(container.id, ({ state }) => state === ContainerState.EXITED);
        return container.name;
      }),
    );
    const selector = {
      labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`),
      includeStopped: true,
    };
    const messages = await read({ selector });
    const told = Object.fromEntries(
      batchesOf(messages).map(({ source, records }) => [
        source?.containerName,
        records.map(({ data }) => Buffer.from(data).toString()).join(""),
      ]),
    );
    assert.deepEqual(told, { [names[0] ?? ""]: "from a\n", [names[1] ?? ""]: "from b\n" });
    assert.equal(messages.filter(({ message }) => message.case === "end").length, 2);
  });

  it("O11 follows through a restart, and through a new container of the same name", async () => {
    const { id, name } = await kit.make({ command: ["sh", "-c", "echo run; sleep 600"] });
    const { containers, logs } = kit.fleet.api;
    const reading = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      const request = { container: name, follow: true, followRestarts: true };
      for await (const message of logs.streamLogs(request, { signal: reading.signal })) {
        for (const { records, source } of batchesOf([message])) {
          seen.push(...records.map(() => source?.containerId ?? ""));
        }
      }
    })().catch(() => undefined);
    await eventually(() => seen.length === 1, "the first run is read", patienceMs);
    await containers.restartContainer({ container: id, gracePeriod: noGrace });
    await eventually(() => seen.length === 2, "the second run is read", patienceMs);
    await containers.removeContainer({ container: id, force: true });
    const { container } = await containers.createContainer({
      host: main,
      name,
      spec: {
        image: "fairlead-test/busybox:latest",
        command: ["sh", "-c", "echo new; sleep 600"],
        labels: kit.engine.labels,
      },
      start: true,
    });
    await eventually(() => seen.length === 3, "the new container is read", patienceMs);
    assert.deepEqual(seen, [id, id, container?.id]);
    reading.abort();
    await following;
  });

  it("O11 D03 a reader that leaves in the middle leaves nothing open", async () => {
    const { name } = await kit.make({ command: ["sh", "-c", "echo begun; sleep 600"] });
    const reading = new AbortController();
    const stream = kit.fleet.api.logs.streamLogs(
      { container: name, follow: true },
      { signal: reading.signal },
    );
    for await (const { message } of stream) {
      if (message.case === "batch") break;
    }
    reading.abort();
    const { dataStreams } = kit.fleet.plane.controlPlane;
    await eventually(
      () => dataStreams.size === 0 && dataStreams.tickets === 0,
      "no stream is left",
      patienceMs,
    );
  });

  it("O06 the log of a container that is not there, and a cursor that is none, are refused", async () => {
    for (const [request, reason] of [
      [{ container: "no-such-container", host: main }, "CONTAINER_NOT_FOUND"],
      [{ container: "no-such-container" }, "CONTAINER_NOT_FOUND"],
      [{ container: "x", selector: {} }, "INVALID_ARGUMENT"],
      [{ container: "x", cursors: ["yesterday"] }, "INVALID_ARGUMENT"],
    ] as const) {
      await assert.rejects(
        read(request as Request),
        (error) => error instanceof FleetError && error.reason === reason,
        JSON.stringify(request),
      );
    }
  });
}
