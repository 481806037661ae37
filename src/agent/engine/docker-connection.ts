import { Agent as HttpAgent, IncomingMessage } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import { addAbortSignal, Readable } from "node:stream";
import Docker from "dockerode";
import { FleetError } from "../../domain/errors.ts";
import { linkSignal } from "../../resilience/signals.ts";
import { failureFromAnswer, failureFromBrokenCall } from "./docker-errors.ts";
import type { DockerEndpoint } from "./docker-endpoint.ts";

/** One call of the engine's API. */
export interface DockerCall {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** Begins with a slash; parts that others chose are already encoded. */
  readonly path: string;
  /** What is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON, with POST only. */
  readonly body?: object;
  /** Sent as it is, as fast as the engine takes it. */
  readonly upload?: Readable;
}

/** What the engine answered: 2xx, or 304 for "it was so already". */
export interface DockerAnswer {
  readonly status: number;
  readonly text: string;
}

/** The one thing of dockerode's transport that is used here. */
interface Transport {
  dial(
    options: object,
    callback: (error: Error | null | undefined, response: IncomingMessage | Socket | null) => void,
  ): void;
}

/** No answer of an engine is as large; it keeps a wrong address from filling the memory. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** After so much silence in a long answer the system asks whether a remote engine is still there. */
const keepAliveMs = 15_000;

/** Our statuses are all "expected": what they mean is decided in `docker-errors.ts`, with the whole answer at hand. */
const everyStatus = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [index + 100, true]));

/**
 * Calls to one Docker Engine, dialled by dockerode, each on a connection of its own. The answers are read here and not by
 * dockerode, because its calls never settle when a connection breaks in the middle of an answer, tell nothing of a 304, and
 * round the large numbers in the JSON. Paths carry no API version: what is read and sent here is the same from API 1.41 on,
 * while an engine refuses a version that it no longer has.
 *
 * A rejection is a `FleetError` as the `Engine` promises, or the reason of the signal.
 */
export class DockerConnection {
  readonly address: string;
  readonly #transport: Transport;
  readonly #agent: HttpAgent;
  readonly #pathPrefix: string;

  constructor(endpoint: DockerEndpoint) {
    this.address = endpoint.address;
    this.#pathPrefix = endpoint.kind === "tcp" ? endpoint.pathPrefix : "";
    this.#agent = agentFor(endpoint);
    this.#transport = new Docker(transportOptions(endpoint, this.#agent)).modem as Transport;
  }

  /** Calls, and reads the whole answer. */
  async request(call: DockerCall, signal: AbortSignal): Promise<DockerAnswer> {
    return this.#guard(call, signal, async () => {
      const response = await this.#dial(call, signal);
      return this.#accept(response, await readAll(response, signal));
    });
  }

  /** Calls, and parses the JSON that comes back. */
  async requestJson<Value>(call: DockerCall, signal: AbortSignal): Promise<Value> {
    const { text } = await this.request(call, signal);
    try {
      return JSON.parse(text) as Value;
    } catch (error) {
      throw new FleetError("ENGINE_FAILED", `what answers at ${this.address} is no Docker Engine`, {
        cause: error,
      });
    }
  }

  /**
   * Calls, and resolves as soon as the answer begins. Whoever gets it reads it to its end or destroys it; an abort of the
   * signal destroys it too.
   */
  async open(call: DockerCall, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#guard(call, signal, async () => {
      const response = await this.#dial(call, signal);
      if ((response.statusCode ?? 0) >= 300) {
        this.#accept(response, await readAll(response, signal));
      }
      response.socket.setKeepAlive(true, keepAliveMs);
      return addAbortSignal(signal, response);
    });
  }

  /** Calls, and resolves to the head of the answer. */
  async head(call: DockerCall, signal: AbortSignal): Promise<IncomingMessage["headers"]> {
    const response = await this.open(call, signal);
    response.destroy();
    return response.headers;
  }

  /**
   * Calls with a body that is sent as it comes. When that breaks off, the call is cut, so that the engine takes no part for the whole, and it
   * rejects with what the body threw. However it ends, the body is asked to return.
   */
  async upload(
    call: DockerCall,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<DockerAnswer> {
    const upload = Readable.from(chunks, { objectMode: false });
    const sending = linkSignal(signal);
    upload.once("error", (error) => sending.abort(error));
    try {
      return await this.request({ ...call, upload }, sending.signal);
    } finally {
      sending.release();
      upload.destroy();
    }
  }

  /**
   * Calls, and takes the connection over for whatever both sides then send. The signal covers the call only. Whoever gets
   * the socket destroys it; an error of it is never unhandled, and is seen by its reader.
   */
  async hijack(call: DockerCall, signal: AbortSignal): Promise<Socket> {
    const starting = linkSignal(signal);
    try {
      return await this.#guard(call, signal, async () => {
        const answer = await this.#dialRaw(call, starting.signal, true);
        if (answer instanceof IncomingMessage) {
          this.#accept(answer, await readAll(answer, starting.signal));
          throw new FleetError("ENGINE_FAILED", "the engine did not give its connection away");
        }
        answer.setKeepAlive(true, keepAliveMs);
        return answer;
      });
    } finally {
      starting.release();
    }
  }

  /** Ends what is still open. */
  close(): void {
    this.#agent.destroy();
  }

  async #guard<Value>(call: DockerCall, signal: AbortSignal, run: () => Promise<Value>): Promise<Value> {
    signal.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof FleetError
        ? error
        : failureFromBrokenCall(error, !["GET", "HEAD"].includes(call.method), this.address);
    }
  }

  #accept(response: IncomingMessage, text: string): DockerAnswer {
    const status = response.statusCode ?? 0;
    if (status >= 400) {
      throw failureFromAnswer(status, text);
    }
    return { status, text };
  }

  async #dial(call: DockerCall, signal: AbortSignal): Promise<IncomingMessage> {
    return (await this.#dialRaw(call, signal, false)) as IncomingMessage;
  }

  #dialRaw(call: DockerCall, signal: AbortSignal, hijack: boolean): Promise<IncomingMessage | Socket> {
    const query = Object.entries(call.query ?? {}).filter(([, value]) => value !== undefined);
    const options = {
      // dockerode adds the query only to a path with a question mark.
      path: `${this.#pathPrefix}${call.path}?`,
      method: call.method,
      options: { _query: Object.fromEntries(query), _body: call.body ?? {} },
      statusCodes: everyStatus,
      isStream: true,
      abortSignal: signal,
      hijack,
      // Without it dockerode would send an empty body in chunks, whose end the process could get as its first input.
      ...(hijack && call.body === undefined && { file: Buffer.alloc(0) }),
      ...(call.upload && { file: call.upload }),
    };
    return new Promise((resolve, reject) => {
      this.#transport.dial(options, (error, response) => {
        if (response === null || error) {
          reject(error ?? new Error("no response"));
          return;
        }
        if (!(response instanceof IncomingMessage)) {
          response.on("error", ignore);
        }
        resolve(response);
      });
    });
  }
}

/** Whoever reads or writes sees the error, too; without a listener it would end the program. */
function ignore(): void {}

/**
 * Connections are not kept: one that the engine closed meanwhile would break a call that it never saw, and a call that
 * changes something could then not be repeated.
 */
function agentFor(endpoint: DockerEndpoint): HttpAgent {
  if (endpoint.kind !== "tcp" || endpoint.tls === undefined) {
    return new HttpAgent({ keepAlive: false });
  }
  const { ca, cert, key, verify } = endpoint.tls;
  return new HttpsAgent({ keepAlive: false, ca, cert, key, rejectUnauthorized: verify });
}

/** Every option is named, because dockerode fills what is missing from the environment of the process. */
function transportOptions(endpoint: DockerEndpoint, agent: HttpAgent): Docker.DockerOptions {
  const common = { agent, ca: undefined, cert: undefined, key: undefined, timeout: undefined };
  const options =
    endpoint.kind === "socket"
      ? { ...common, socketPath: endpoint.path, host: undefined, port: undefined, protocol: "http" }
      : { ...common, ...tcpOptions(endpoint.hostname, endpoint.port, endpoint.tls === undefined) };
  return options as Docker.DockerOptions;
}

function tcpOptions(hostname: string, port: number, plaintext: boolean): object {
  const protocol = plaintext ? "http" : "https";
  return { socketPath: undefined, host: `${protocol}://${hostname}`, port, protocol, pathPrefix: "/" };
}

async function readAll(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, response) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) {
      throw new FleetError("ENGINE_FAILED", `the engine's answer is larger than ${maxAnswerBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
