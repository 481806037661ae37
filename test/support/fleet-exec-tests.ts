import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Fairlead } from "../../src/client/create-fairlead.ts";
import { FleetError } from "../../src/domain/errors.ts";
import type { ExecRequestSchema, ExecResponse } from "../../src/gen/fairlead/container/v1/exec_service_pb.js";
import { OutputStream } from "../../src/gen/fairlead/container/v1/log_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { eventually } from "./control-plane-harness.ts";
import { patienceMs } from "./fleet.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

type Request = MessageInitShape<typeof ExecRequestSchema>;
type Start = Extract<NonNullable<Request["message"]>, { case: "start" }>["value"];
type Input = NonNullable<Extract<NonNullable<Request["message"]>, { case: "input" }>["value"]["input"]>;

const text = (value: string) => ({ case: "data" as const, value: Buffer.from(value) });

/** What a test types, when it wants to. */
class Keyboard implements AsyncIterable<Request> {
  readonly #queue: Request[];
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(start: Start) {
    this.#queue = [{ message: { case: "start", value: start } }];
  }

  press(input: Input): void {
    this.#queue.push({ message: { case: "input", value: { input } } });
    this.#wake?.();
  }

  type(text: string): void {
    this.press({ case: "data", value: Buffer.from(text) });
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else if (this.#closed) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** What came out of a process. */
class Screen {
  stdout = "";
  stderr = "";
  exitCode: number | undefined;

  take({ message }: Pick<ExecResponse, "message">): void {
    if (message.case === "exit") this.exitCode = message.value.exitCode;
    if (message.case !== "output") return;
    const text = Buffer.from(message.value.data).toString("utf8");
    if (message.value.stream === OutputStream.STDERR) this.stderr += text;
    else this.stdout += text;
  }
}

/** Processes in containers, through the API. */
export function execTests(kit: FleetKit): void {
  let grpc: Fairlead;
  before(() => {
    grpc = kit.fleet.client("grpc");
  });
  after(() => grpc.close());

  const nothingLeft = () =>
    eventually(() => kit.fleet.plane.controlPlane.dataStreams.size === 0, "no stream is left", patienceMs);

  const run = async (keyboard: Keyboard, screen = new Screen(), signal?: AbortSignal) => {
    for await (const answer of grpc.processes.exec(keyboard, signal && { signal })) screen.take(answer);
    return screen;
  };

  it("O13 a process's outputs stay apart, and its exit code arrives", async () => {
    const { name } = await kit.make();
    const keyboard = new Keyboard({
      container: name,
      process: { command: ["sh", "-c", "echo out; echo err >&2; exit 7"] },
    });
    const { stdout, stderr, exitCode } = await run(keyboard);
    assert.deepEqual([stdout, stderr, exitCode], ["out\n", "err\n", 7]);
    await nothingLeft();
  });

  it("O13 what is typed arrives in order, and the end of it as well", async () => {
    const { name } = await kit.make();
    const keyboard = new Keyboard({ container: name, stdin: true, process: { command: ["cat"] } });
    for (let index = 0; index < 300; index += 1) keyboard.type(`${index}\n`);
    keyboard.press({ case: "end", value: {} });
    const { stdout, exitCode } = await run(keyboard);
    assert.equal(stdout, Array.from({ length: 300 }, (_, index) => `${index}\n`).join(""));
    assert.equal(exitCode, 0);
    const half = new Keyboard({ container: name, stdin: true, process: { command: ["cat"] } });
    half.type("by the end of the call");
    half.close();
    assert.equal((await run(half)).stdout, "by the end of the call");
  });

  it("O12 O13 1 MB of any bytes goes in and comes out unharmed", async () => {
    const { name } = await kit.make();
    const keyboard = new Keyboard({ container: name, stdin: true, process: { command: ["cat"] } });
    const sent = Buffer.alloc(
      1_000_000,
      Uint8Array.from({ length: 251 }, (_, index) => index),
    );
    for (let from = 0; from < sent.length; from += 60_000) {
      keyboard.press({ case: "data", value: sent.subarray(from, from + 60_000) });
    }
    keyboard.close();
    const pieces: Uint8Array[] = [];
    for await (const { message } of grpc.processes.exec(keyboard)) {
      if (message.case === "output") pieces.push(message.value.data);
    }
    assert.ok(Buffer.concat(pieces).equals(sent));
  });

  it("O13 a process with a terminal has the size that it is told", async () => {
    const { name } = await kit.make();
    const keyboard = new Keyboard({
      container: name,
      tty: true,
      stdin: true,
      terminalSize: { columns: 97, rows: 31 },
      process: { command: ["sh"] },
    });
    const screen = new Screen();
    const running = run(keyboard, screen);
    keyboard.type("stty size\n");
    await eventually(() => screen.stdout.includes("31 97"), "the first size", patienceMs);
    keyboard.press({ case: "resize", value: { columns: 44, rows: 22 } });
    await eventually(
      () => {
        keyboard.type("stty size\n");
        return screen.stdout.includes("22 44");
      },
      "the second size",
      patienceMs,
    );
    keyboard.type("exit 3\n");
    assert.equal((await running).exitCode, 3);
  });

  it("O13 D03 a caller that goes away ends the process", async () => {
    const { name } = await kit.make();
    const keyboard = new Keyboard({
      container: name,
      process: { command: ["sh", "-c", "echo begun; sleep 4321"] },
    });
    const leaving = new AbortController();
    const screen = new Screen();
    const running = run(keyboard, screen, leaving.signal).catch(() => undefined);
    // What the engine itself says runs in the container.
    const isThere = async () => {
      const { processes } = await kit.engine.engine.listProcesses(name, "-ef", neverAborted);
      return processes.some((facts) => facts.join(" ").includes("4321"));
    };
    await eventually(() => screen.stdout === "begun\n", "it has begun", patienceMs);
    assert.ok(await isThere(), "the process runs");
    leaving.abort();
    await running;
    await nothingLeft();
    await eventually(async () => !(await isThere()), "the process is gone", patienceMs);
  });

  it("O13 the same works where a caller cannot stream, by calls that may overtake and repeat each other", async () => {
    const { name } = await kit.make();
    const { processes } = kit.fleet.api;
    const start = { container: name, stdin: true, process: { command: ["cat"] } };
    const screen = new Screen();
    let execId = "";
    const running = (async () => {
      for await (const answer of processes.startExec({ start })) {
        if (answer.message.case === "started") ({ execId } = answer.message.value);
        else screen.take(answer);
      }
    })();
    await eventually(() => execId, "it has started", patienceMs);
    const send = (sequence: bigint, input: Input) =>
      processes.sendExecInput({ execId, sequence, input: { input } });
    const later = [send(3n, text("three ")), send(2n, text("two "))];
    await send(1n, text("one "));
    await send(1n, text("one "));
    await Promise.all(later);
    await send(4n, { case: "end", value: {} });
    await running;
    assert.deepEqual([screen.stdout, screen.exitCode], ["one two three ", 0]);
    await assert.rejects(
      send(5n, text("late")),
      (error) => error instanceof FleetError && error.reason === "EXEC_NOT_FOUND",
    );
  });

  it("O13 attached before the start, one misses nothing of a container's own process", async () => {
    const { id, name } = await kit.make({ start: false, command: ["sh", "-c", "echo first; exit 5"] });
    const keyboard = new Keyboard({ container: name });
    const screen = new Screen();
    const attached = Promise.withResolvers<void>();
    const running = (async () => {
      for await (const answer of grpc.processes.exec(keyboard)) {
        if (answer.message.case === "started") attached.resolve();
        screen.take(answer);
      }
    })();
    await attached.promise;
    await kit.fleet.api.containers.startContainer({ container: id });
    await running;
    assert.deepEqual([screen.stdout, screen.exitCode], ["first\n", 5]);
  });

  it("L01 O13 who ran what is told, with its end, and nothing of what was typed or said", async () => {
    const { id, name } = await kit.make();
    const secret = kit.engine.uniqueName();
    const keyboard = new Keyboard({
      container: name,
      process: { command: ["sh", "-c", `echo ${secret}; exit 9`], environment: { SECRET: secret } },
    });
    await run(keyboard);
    const types = [EventType.EXEC_STARTED, EventType.EXEC_ENDED];
    const events = await eventually(
      async () => {
        const found = await kit.fleet.events({ types, container: id });
        return found.length === 2 ? found : undefined;
      },
      "both events",
      patienceMs,
    );
    const [begun, ended] = events;
    assert.deepEqual([begun?.type, begun?.attributes["program"]], [EventType.EXEC_STARTED, "sh"]);
    assert.deepEqual([ended?.type, ended?.attributes["exit_code"]], [EventType.EXEC_ENDED, "9"]);
    assert.ok(begun?.actor !== "" && begun?.commandId === ended?.commandId);
    assert.ok(!JSON.stringify(events.map(({ attributes }) => attributes)).includes(secret));
  });

  it("O06 what cannot be run is refused, with a reason", async () => {
    const stopped = await kit.make({ start: false });
    for (const [start, reason] of [
      [{ container: stopped.name, process: { command: ["true"] } }, "CONFLICT"],
      [{ container: "no-such-container", host: main, process: { command: ["true"] } }, "CONTAINER_NOT_FOUND"],
      [{ container: "", process: { command: ["true"] } }, "INVALID_ARGUMENT"],
      [{ container: stopped.name, process: { command: [] } }, "INVALID_ARGUMENT"],
    ] as const) {
      await assert.rejects(
        run(new Keyboard(start as unknown as Start)),
        (error) => error instanceof FleetError && error.reason === reason,
        JSON.stringify(start),
      );
    }
    await nothingLeft();
  });
}
