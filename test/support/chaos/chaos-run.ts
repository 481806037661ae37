import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createFairlead, type Fairlead } from "../../../src/client/create-fairlead.ts";
import { type Command, CommandState } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { keyFileOf } from "../api-place.ts";
import { Caller } from "./caller.ts";
import type { EngineManners } from "./engine-host.ts";
import { draftFault, faultText, type FaultWeights, usualFaults } from "./faults.ts";
import { Fleet, projectRoot } from "./fleet.ts";
import type { History } from "./history.ts";
import { type Violation, violationsOf } from "./invariants.ts";
import { Recorder } from "./recorder.ts";
import { SeededRandom } from "./seeded-random.ts";
import { type AskDraft, draftAsk, prepared } from "./workload.ts";

/** What a run is like. All that is random in it comes from the seed. */
export interface ChaosOptions {
  readonly seed: number;
  /** How many things are asked for. */
  readonly commands: number;
  /** No more is asked for after so long. Default: no limit. */
  readonly limitMs?: number;
  /** Default: 3. */
  readonly agents?: number;
  /** How many callers there are. Default: 12. */
  readonly callers?: number;
  /** Between one thing and the next of a caller, at most. Default: 200. */
  readonly pauseMs?: number;
  /** So many faults, one after the other, and then nothing more is asked for. Default: as many as there is time for, also side by side. */
  readonly faultCount?: number;
  /** The time to the first fault begins when so many calls were answered. Default: 0. */
  readonly faultAfterAnswers?: number;
  /** From one fault to the next. Default: 50 to 600. */
  readonly faultEveryMs?: readonly [number, number];
  /** Default: `usualFaults`. */
  readonly faults?: FaultWeights;
  readonly manners?: EngineManners;
  /** How many commands an agent runs at once. Default: the product's. */
  readonly concurrentCommands?: number;
  /** What asks of the run are like, whatever the seed says. */
  readonly asks?: (draft: AskDraft) => Partial<AskDraft>;
  /** So long commands may take to end once everything is up again. Default: 30,000. */
  readonly settleMs?: number;
  /** The sources to run. Default: this project. */
  readonly root?: string;
  /** Where everything is kept afterwards. Default: a temporary folder that is removed. */
  readonly folder?: string;
  /** Told what is done, a line each. */
  readonly log?: (line: string) => void;
}

/** What a run has shown. */
export interface ChaosReport {
  readonly violations: readonly Violation[];
  readonly history: History;
  readonly faults: number;
  /** From the last fault until every command had ended, in milliseconds. */
  readonly settledAfterMs: number;
  readonly tookMs: number;
}

const usualSettleMs = 30_000;

/** From so many calls under way on, a caller is slow to begin more. */
const manyOpen = 3;

const usualManners: EngineManners = { breakBefore: 0.02, breakAfter: 0.03, maxLatencyMs: 40 };

/** Runs a fleet through faults from a seed, and judges what became of every command. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "fairlead-chaos-")));
  try {
    return await runIn(folder, options);
  } finally {
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function runIn(folder: string, options: ChaosOptions): Promise<ChaosReport> {
  const random = new SeededRandom(options.seed);
  const recorder = new Recorder();
  const startedMs = performance.now();
  const fleet = await Fleet.start({
    folder,
    root: options.root ?? projectRoot,
    agents: options.agents ?? 3,
    manners: options.manners ?? usualManners,
    concurrentCommands: options.concurrentCommands,
    random,
    recorder,
  });
  try {
    await fleet.enrol(() => createToken(fleet));
    const faults = await disturbed(fleet, recorder, random, options);
    const settling = performance.now();
    await allEnded(fleet, options.settleMs ?? usualSettleMs);
    const settledAfterMs = performance.now() - settling;
    const history = await historyOf(fleet, recorder);
    return {
      violations: violationsOf(history),
      history,
      faults,
      settledAfterMs,
      tookMs: performance.now() - startedMs,
    };
  } finally {
    await fleet.close();
  }
}

/** Lets callers call while faults happen. Resolves when both are over, with the number of faults. */
async function disturbed(
  fleet: Fleet,
  recorder: Recorder,
  random: SeededRandom,
  options: ChaosOptions,
): Promise<number> {
  const quiet = new AbortController();
  const enough = new AbortController();
  const faults = answered(recorder, options.faultAfterAnswers ?? 0, quiet.signal)
    .then(() => inflictAll(fleet, random.fork("faults"), options, quiet.signal))
    .finally(() => enough.abort());
  const clients = (["connect", "grpc"] as const).map((protocol) =>
    createFairlead({
      ...keyFileOf(fleet.keyFile),
      server: `https://127.0.0.1:${fleet.apiProxy.port}`,
      protocol,
      retry: { attempts: 1 },
    }),
  );
  try {
    await askAll(fleet, recorder, clients, random, { ...options, enough: enough.signal }, async () => {
      quiet.abort();
      fleet.calm();
      await faults;
    });
    return await faults;
  } finally {
    for (const client of clients) client.close();
  }
}

async function askAll(
  fleet: Fleet,
  recorder: Recorder,
  clients: readonly Fairlead[],
  random: SeededRandom,
  options: ChaosOptions & { readonly enough: AbortSignal },
  becomeQuiet: () => Promise<void>,
): Promise<void> {
  const { commands, limitMs = Infinity, callers = 12, pauseMs = 200, settleMs = usualSettleMs } = options;
  const deadline = performance.now() + limitMs;
  const drafts = random.fork("asks");
  const impatience = new AbortController();
  let next = 0;
  let asking = callers;
  let patience: NodeJS.Timeout | undefined;
  const ask = async (index: number): Promise<void> => {
    const own = random.fork(`caller ${index}`);
    const client = clients[index % clients.length];
    if (client === undefined) return;
    const caller = new Caller({ client, engines: fleet.engines, recorder, random: own });
    const open = new Set<Promise<void>>();
    while (next < commands && performance.now() < deadline && !options.enough.aborted) {
      const drafted = draftAsk(next, fleet.names, drafts);
      const draft = { ...drafted, ...options.asks?.(drafted) };
      next += 1;
      const engine = fleet.engines.get(draft.host);
      if (engine === undefined) continue;
      const call = caller.carryOut(await prepared(draft, engine), impatience.signal);
      open.add(call);
      call.then(
        () => open.delete(call),
        () => undefined, // stays, for whoever waits for all of them
      );
      // A call that waits long does not hold up the next ones of its caller; the more there are, the longer it does.
      await Promise.race([...open, delay(open.size < manyOpen ? 500 : 2_000)]);
      await delay(own.between(0, pauseMs));
    }
    asking -= 1;
    // The last calls see faults as well, but are answered in peace.
    if (asking === 0) {
      await becomeQuiet();
      patience = setTimeout(() => impatience.abort(), settleMs);
    }
    await Promise.all(open);
  };
  try {
    await Promise.all(Array.from({ length: callers }, (_, index) => ask(index)));
  } finally {
    clearTimeout(patience);
  }
}

async function answered({ answers }: Recorder, count: number, signal: AbortSignal): Promise<void> {
  while (answers.length < count && !signal.aborted) await delay(20);
}

async function inflictAll(
  fleet: Fleet,
  random: SeededRandom,
  options: ChaosOptions,
  signal: AbortSignal,
): Promise<number> {
  const {
    faults = usualFaults,
    faultCount = Infinity,
    faultEveryMs: [least, most] = [50, 600],
    log,
  } = options;
  const startedMs = performance.now();
  const under: Promise<void>[] = [];
  let count = 0;
  while (count < faultCount) {
    await delay(random.between(least, most), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    const fault = draftFault(faults, fleet.names, random);
    count += 1;
    log?.(`${((performance.now() - startedMs) / 1_000).toFixed(3)} s  ${faultText(fault)}`);
    const inflicted = fleet.inflict(fault);
    under.push(inflicted);
    if (faultCount < Infinity) await inflicted;
  }
  await Promise.all(under);
  return count;
}

async function createToken(fleet: Fleet): Promise<string> {
  return await directly(fleet, async ({ registrationTokens }) => {
    const { token } = await registrationTokens.createRegistrationToken({ description: "chaos" });
    return token;
  });
}

/** Waits until no command is open, or the time for that is over. */
async function allEnded(fleet: Fleet, settleMs: number): Promise<void> {
  const deadline = performance.now() + settleMs;
  const states = [CommandState.PENDING, CommandState.DISPATCHED, CommandState.ACCEPTED];
  while (performance.now() < deadline) {
    const open = await directly(fleet, async ({ commands }) => {
      return (await commands.listCommands({ states, pageSize: 1 })).commands.length;
    });
    if (open === 0) return;
    await delay(50);
  }
}

async function historyOf(fleet: Fleet, recorder: Recorder): Promise<History> {
  const engines = [...fleet.engines.values()];
  const { asks, answers, sightings, inspections, incidents, takeovers, intrusions } = recorder;
  return {
    asks,
    answers,
    sightings,
    inspections,
    incidents,
    takeovers,
    intrusions,
    executions: engines.flatMap(({ executions }) => executions),
    created: new Map(engines.flatMap(({ created }) => [...created])),
    breakages: engines.flatMap(({ breakages }) => breakages),
    commands: await allCommands(fleet),
    endedEvents: await allEndedEvents(fleet),
    commandsAgain: await allCommands(fleet),
  };
}

async function allCommands(fleet: Fleet): Promise<Command[]> {
  return await directly(fleet, async (client) => {
    const commands: Command[] = [];
    let pageToken = "";
    do {
      const page = await client.commands.listCommands({ pageSize: 1_000, pageToken });
      commands.push(...page.commands);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return commands;
  });
}

async function allEndedEvents(fleet: Fleet): Promise<string[]> {
  return await directly(fleet, async (client) => {
    const ids: string[] = [];
    let pageToken = "";
    do {
      const filter = { types: [EventType.COMMAND_ENDED] };
      const page = await client.events.listEvents({ filter, pageSize: 1_000, pageToken });
      ids.push(...page.events.map(({ commandId }) => commandId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return ids;
  });
}

/** Calls the control plane past all proxies; again while it is still starting. */
async function directly<Value>(fleet: Fleet, call: (client: Fairlead) => Promise<Value>): Promise<Value> {
  const deadline = performance.now() + usualSettleMs;
  for (;;) {
    const { apiPort } = fleet;
    try {
      if (apiPort === undefined) throw new Error("the control plane is not up");
      const server = `https://127.0.0.1:${apiPort}`;
      using client = createFairlead({ ...keyFileOf(fleet.keyFile), server, timeoutMs: 10_000 });
      return await call(client);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(50);
    }
  }
}
