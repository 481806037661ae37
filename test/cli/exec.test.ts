import assert from "node:assert/strict";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Environment, Terminal } from "../../src/cli/environment.ts";
import type { ExecResponseSchema, ExecStart } from "../../src/gen/fairlead/container/v1/exec_service_pb.js";
import { OutputStream } from "../../src/gen/fairlead/container/v1/log_pb.js";
import type { ProcessInput } from "../../src/gen/fairlead/container/v1/process_pb.js";
import { type Answers, closeApis, fairlead, fairleadAlone, serveAnswers } from "./command-line.ts";

type Answer = MessageInitShape<typeof ExecResponseSchema>;

const started: Answer = { message: { case: "started", value: { execId: "secret" } } };
const output = (text: string, stream = OutputStream.STDOUT): Answer => ({
  message: { case: "output", value: { stream, data: Buffer.from(text) } },
});
const exit = (exitCode: number): Answer => ({ message: { case: "exit", value: { exitCode } } });

/** What a process was started with and given. */
interface Heard {
  start?: ExecStart | undefined;
  readonly inputs: ProcessInput["input"][];
}

/** A process that says back what it gets, and ends with the end of it. */
const echo = (heard: Heard): Answers => ({
  processes: {
    async *exec(requests) {
      for await (const { message } of requests) {
        if (message.case === "start") {
          heard.start = message.value;
          yield started;
        }
        if (message.case !== "input") continue;
        heard.inputs.push(message.value.input);
        const { input } = message.value;
        if (input.case === "data") yield output(Buffer.from(input.value).toString());
        if (input.case === "end") break;
      }
      yield exit(3);
    },
  },
});

const typed = (...pieces: string[]): Partial<Environment> => ({
  stdin: {
    async *read() {
      for (const piece of pieces) yield Buffer.from(piece);
    },
  },
});

describe("exec on the command line", () => {
  afterEach(closeApis);

  it("O13 asks for what its flags say, and passes on everything behind the container", async () => {
    const heard: Heard = { inputs: [] };
    const flags = ["-i", "-e", "A=b", "-e", "HERE", "-u", "1000:1", "-w", "/srv", "--privileged"];
    const { code } = await fairlead(echo(heard), ["exec", ...flags, "web-1/web", "ls", "-l", "--", "-i"], {
      ...typed("x"),
      env: { HERE: "value" },
    });
    assert.equal(code, 3);
    const { start } = heard;
    assert.deepEqual(
      [start?.host, start?.container, start?.tty, start?.stdin],
      ["web-1", "web", false, true],
    );
    assert.deepEqual(start?.process?.command, ["ls", "-l", "--", "-i"]);
    assert.deepEqual(start.process.environment, { A: "b", HERE: "value" });
    const { user, workingDirectory, privileged } = start.process;
    assert.deepEqual([user, workingDirectory, privileged], ["1000:1", "/srv", true]);
  });

  it("O13 what is piped in arrives whole and ends; what comes out goes where it belongs", async () => {
    const heard: Heard = { inputs: [] };
    const { code, stdout } = await fairlead(echo(heard), ["exec", "-i", "web", "cat"], typed("one ", "two"));
    assert.deepEqual([code, stdout], [3, "one two"]);
    assert.deepEqual(
      heard.inputs.map((input) => input.case),
      ["data", "data", "end"],
    );
    const answers: Answers = {
      processes: {
        async *exec() {
          yield* [started, output("out\n"), output("err\n", OutputStream.STDERR), exit(0)];
        },
      },
    };
    const apart = await fairlead(answers, ["exec", "web", "true"]);
    assert.deepEqual([apart.code, apart.stdout, apart.stderr], [0, "out\n", "err\n"]);
  });

  it("O13 gives the terminal back as it was, whatever happens", async () => {
    const raw: boolean[] = [];
    const terminal: Terminal = {
      isInput: true,
      size: () => ({ columns: 91, rows: 17 }),
      setRaw: (value) => void raw.push(value),
      onResize: () => () => undefined,
    };
    const heard: Heard = { inputs: [] };
    await fairlead(echo(heard), ["exec", "-it", "web", "sh"], { ...typed("x"), terminal });
    assert.deepEqual([heard.start?.terminalSize?.columns, heard.start?.terminalSize?.rows], [91, 17]);
    const broken: Answers = {
      processes: {
        async *exec() {
          yield started;
          throw new Error("broken");
        },
      },
    };
    const { code } = await fairlead(broken, ["exec", "-it", "web", "sh"], { ...typed(), terminal });
    assert.equal(code, 1);
    assert.deepEqual(raw, [true, false, true, false]);
  });

  for (const size of [
    { columns: 0, rows: 0 },
    { columns: 80, rows: 0 },
    { columns: 0, rows: 24 },
  ]) {
    it(`O13 gives the usual size for a terminal that knows only ${size.columns} by ${size.rows}, and tells no other`, async () => {
      const terminal: Terminal = {
        isInput: true,
        size: () => size,
        setRaw: () => undefined,
        onResize: () => () => undefined,
      };
      const heard: Heard = { inputs: [] };
      const { code } = await fairlead(echo(heard), ["exec", "-it", "web", "sh"], {
        ...typed("x"),
        terminal,
      });
      assert.equal(code, 3);
      assert.deepEqual([heard.start?.terminalSize?.columns, heard.start?.terminalSize?.rows], [80, 24]);
      assert.deepEqual(
        heard.inputs.map((input) => input.case),
        ["data", "end"],
      );
    });
  }

  it("O13 says so when a terminal is wanted and there is none", async () => {
    const { code, stderr } = await fairlead(echo({ inputs: [] }), ["exec", "-t", "web", "sh"]);
    assert.equal(code, 1);
    assert.match(stderr, /there is no terminal here.*leave -t out/);
  });

  it("O13 works by single calls where only HTTP/1.1 gets through", async () => {
    const heard: Heard = { inputs: [] };
    const ended = Promise.withResolvers<void>();
    const api = await serveAnswers({
      processes: {
        async *startExec({ start }) {
          heard.start = start;
          yield { message: { case: "started", value: { execId: "secret" } } };
          await ended.promise;
          const text = heard.inputs.map((input) =>
            input.case === "data" ? Buffer.from(input.value).toString() : "",
          );
          yield {
            message: {
              case: "output",
              value: { stream: OutputStream.STDOUT, data: Buffer.from(text.join("")) },
            },
          };
          yield { message: { case: "exit", value: { exitCode: 4 } } };
        },
        sendExecInput({ execId, sequence, input }) {
          assert.deepEqual([execId, Number(sequence)], ["secret", heard.inputs.length + 1]);
          if (input !== undefined) heard.inputs.push(input.input);
          if (input?.input.case === "end") ended.resolve();
          return {};
        },
      },
    });
    const proxy = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
      const { method, url, headers } = incoming;
      const onwards = request(new URL(url ?? "", api), { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(onwards);
    }).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const { port } = proxy.address() as AddressInfo;
    const { code, stdout } = await fairleadAlone(["exec", "-i", "web", "cat"], {
      ...typed("by ", "calls"),
      env: { FAIRLEAD_DATA: "/nonexistent/fairlead-data", FAIRLEAD_SERVER: `http://127.0.0.1:${port}` },
    });
    proxy.closeAllConnections();
    proxy.close();
    assert.deepEqual([code, stdout], [4, "by calls"]);
  });
});
