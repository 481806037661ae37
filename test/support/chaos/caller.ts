import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Fairlead } from "../../../src/client/create-fairlead.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { OfflinePolicy } from "../../../src/gen/fairlead/command/v1/offline_policy_pb.js";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import type { ExecResult } from "../../../src/gen/fairlead/container/v1/exec_result_pb.js";
import type { EngineHost } from "./engine-host.ts";
import type { Answer, Ask } from "./history.ts";
import type { Recorder } from "./recorder.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { chaosSpec, chaosUpdate, execText } from "./workload.ts";

const policies: Readonly<Record<Ask["offlinePolicy"], OfflinePolicy>> = {
  "fail-fast": OfflinePolicy.FAIL_FAST,
  wait: OfflinePolicy.WAIT,
  queue: OfflinePolicy.QUEUE,
};

/** Without a word from the server after so long, a call is given up: the connection may be half-open. */
const patienceMs = 2_500;
/** Between two calls for one thing; it doubles up to the second number, so that callers do not bring down what has just come up. */
const againAfterMs = { least: 150, most: 2_000 };

/** Somebody who wants things done through the API, and notes what it is told. */
export class Caller {
  readonly #client: Fairlead;
  readonly #engines: ReadonlyMap<string, EngineHost>;
  readonly #recorder: Recorder;
  readonly #random: SeededRandom;

  constructor(parts: {
    readonly client: Fairlead;
    readonly engines: ReadonlyMap<string, EngineHost>;
    readonly recorder: Recorder;
    readonly random: SeededRandom;
  }) {
    this.#client = parts.client;
    this.#engines = parts.engines;
    this.#recorder = parts.recorder;
    this.#random = parts.random;
  }

  /** Asks until there is an answer, or once where asking again could do it twice. Gives up when the signal aborts. */
  async carryOut(ask: Ask, signal: AbortSignal): Promise<void> {
    this.#recorder.asks.push(ask);
    const { callers, expiresAfterMs } = ask;
    const expireMs = expiresAfterMs === undefined ? undefined : Date.now() + expiresAfterMs;
    const calls = Array.from({ length: callers }, () => this.#insist(ask, expireMs, signal));
    await Promise.all(calls);
  }

  async #insist(ask: Ask, expireMs: number | undefined, signal: AbortSignal): Promise<void> {
    for (let call = 0; ; call += 1) {
      const answer = await this.#call(ask, expireMs, call === 0 ? ask.hangsUpAfterMs : undefined);
      this.#recorder.answers.push(answer);
      if (answer.kind === "ok") await this.#lookAgain(ask, answer.commandId, answer.queued);
      const isAnswered = answer.kind === "ok" || !answer.lost;
      if (isAnswered || ask.requestId === "" || signal.aborted) return;
      const { least, most } = againAfterMs;
      await delay(Math.min(most, least * 2 ** call) * this.#random.between(0.5, 1));
      // What would be too late is refused, whoever asks again.
      if (expireMs !== undefined && Date.now() + 100 > expireMs) return;
    }
  }

  async #call(ask: Ask, expireMs: number | undefined, hangsUpAfterMs: number | undefined): Promise<Answer> {
    const hangUp = new AbortController();
    const timer = hangsUpAfterMs === undefined ? undefined : setTimeout(() => hangUp.abort(), hangsUpAfterMs);
    try {
      const { commandId, changed, queued } = await this.#send(ask, expireMs, hangUp.signal);
      const seen = queued ? undefined : await this.#engines.get(ask.host)?.look(ask.container);
      return { ask, kind: "ok", commandId, changed, queued, seen, atMs: Date.now() };
    } catch (error) {
      return answerFrom(ask, error, hangUp.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  async #send(
    ask: Ask,
    expireMs: number | undefined,
    signal: AbortSignal,
  ): Promise<{ commandId: string; changed: boolean; queued: boolean }> {
    const { containers } = this.#client;
    const options = { signal, timeoutMs: Math.min(ask.timeoutMs + 1_000, patienceMs) };
    const common = {
      host: ask.host,
      requestId: ask.requestId,
      timeout: durationFromMs(ask.timeoutMs),
      offlinePolicy: policies[ask.offlinePolicy],
      ...(expireMs === undefined ? {} : { expireTime: timestampFromMs(expireMs) }),
    };
    if (ask.operation === "create") {
      const request = { ...common, name: ask.container, spec: chaosSpec, start: ask.starts };
      return { ...(await containers.createContainer(request, options)), changed: true };
    }
    const { container } = ask;
    const preconditions = ask.impossible ? { expectedState: ContainerState.RESTARTING } : {};
    const request = { ...common, container, preconditions };
    switch (ask.operation) {
      case "start":
        return await containers.startContainer(request, options);
      case "stop":
        return await containers.stopContainer(request, options);
      case "restart":
        return await containers.restartContainer(request, options);
      case "kill":
        return { ...(await containers.killContainer(request, options)), changed: true };
      case "pause":
        return await containers.pauseContainer(request, options);
      case "unpause":
        return await containers.unpauseContainer(request, options);
      case "rename":
        return await containers.renameContainer({ ...request, newName: ask.newName }, options);
      case "update":
        return await containers.updateContainer({ ...request, update: chaosUpdate }, options);
      case "exec": {
        const exec = { command: ["echo", execText(ask)] };
        const { result, ...rest } = await containers.runExec({ ...request, exec }, options);
        return { ...rest, changed: result !== undefined && isWhole(result, ask) };
      }
      case "remove":
        return { ...(await containers.removeContainer(request, options)), changed: true };
    }
  }

  /** What a good answer promises is looked for through the API as well. Errors mean nothing here: somebody may have been killed. */
  async #lookAgain(ask: Ask, commandId: string, queued: boolean): Promise<void> {
    const { commands } = this.#client;
    const options = { timeoutMs: patienceMs };
    try {
      if (ask.cancelledAfterMs !== undefined) {
        await delay(ask.cancelledAfterMs);
        const timeout = durationFromMs(Math.round(this.#random.between(0, 500)));
        this.#recorder.sighted((await commands.cancelCommand({ id: commandId, timeout }, options)).command);
      } else if (this.#random.chance(0.3)) {
        this.#recorder.sighted((await commands.getCommand({ id: commandId }, options)).command);
      }
    } catch (error) {
      this.#noteMissing(error, ask, commandId);
    }
    if (!queued && this.#random.chance(0.3)) await this.#inspect(ask, commandId);
  }

  // Whoever was told of a command must find it.
  #noteMissing(error: unknown, ask: Ask, commandId: string): void {
    if (!(error instanceof FleetError) || error.reason !== "COMMAND_NOT_FOUND") return;
    const { reason, message } = error;
    this.#recorder.answers.push({
      ask,
      kind: "error",
      reason,
      message,
      commandId,
      lost: false,
      atMs: Date.now(),
    });
  }

  async #inspect(ask: Ask, commandId: string): Promise<void> {
    const request = { host: ask.host, container: ask.container, timeout: durationFromMs(1_000) };
    try {
      const { container } = await this.#client.containers.inspectContainer(request, {
        timeoutMs: patienceMs,
      });
      if (container !== undefined) this.#recorder.inspections.push({ ask, commandId, seen: container });
    } catch (error) {
      if (error instanceof FleetError && error.reason === "CONTAINER_NOT_FOUND") {
        this.#recorder.inspections.push({ ask, commandId, seen: undefined });
      }
    }
  }
}

// What it wrote is told by the process of the agent alone that ran it; the exit code is kept.
function isWhole({ exitCode, stdout }: ExecResult, ask: Ask): boolean {
  const text = Buffer.from(stdout).toString();
  return exitCode === 0 && (text === "" || text === `${execText(ask)}\n`);
}

const ofTheWay = new Set(["SERVER_UNREACHABLE", "CANCELLED", "DEADLINE_EXCEEDED", "DRAINING", "OVERLOADED"]);

function answerFrom(ask: Ask, error: unknown, hungUp: boolean): Answer {
  if (!(error instanceof FleetError)) throw error;
  const { reason, message, metadata } = error;
  const commandId = metadata["command_id"];
  // What has neither an id of the server's log nor one of a command may come from the transport.
  const anonymous = ofTheWay.has(reason) || (reason === "INTERNAL" && metadata["error_id"] === undefined);
  // The call came too late for its own expire time, on a connection that was held up.
  const late = reason === "INVALID_ARGUMENT" && message.includes("expire_time is in the past");
  const lost = hungUp || late || (anonymous && commandId === undefined);
  return { ask, kind: "error", reason, message, commandId, lost, atMs: Date.now() };
}
