import assert from "node:assert/strict";
import { type ChaosOptions, runChaos } from "../support/chaos/chaos-run.ts";
import type { PromiseName } from "../support/chaos/invariants.ts";
import { type Mutation, plantFault } from "../support/chaos/mutant.ts";

interface PlantedFault {
  readonly mutations: readonly Mutation[];
  /** A run in which it must show: everything that helps, and little else. */
  readonly run: Omit<ChaosOptions, "seed" | "root">;
  /** One of these promises is seen to be broken. */
  readonly breaks: readonly PromiseName[];
  /** How many runs there are to find it. Default: one for each seed. */
  readonly runs?: number;
}

/** Without broken calls, and slow enough for a kill to come in the middle. */
const slowEngines = { breakBefore: 0, breakAfter: 0, maxLatencyMs: 60 };
const steady = {
  already: false,
  impossible: false,
  starts: false,
  newName: "",
  timeoutMs: 8_000,
  offlinePolicy: "wait",
  expiresAfterMs: undefined,
  hangsUpAfterMs: undefined,
  cancelledAfterMs: undefined,
} as const;
const small = {
  commands: 60,
  agents: 2,
  callers: 12,
  pauseMs: 60,
  manners: slowEngines,
  settleMs: 3_000,
  limitMs: 8_000,
};

/** One fault, at the worst moment that there is for it, with time for what comes of it on any machine. */
const once = {
  ...small,
  agents: 1,
  commands: 1_000,
  limitMs: 60_000,
  settleMs: 30_000,
  faultCount: 1,
  faultEveryMs: [200, 400] as const,
};

/** Agents that hang with much to do, and are replaced. */
const replacing = {
  ...small,
  commands: 1_000,
  limitMs: 60_000,
  agents: 1,
  concurrentCommands: 2,
  manners: { ...slowEngines, maxLatencyMs: 600 },
  faults: { "replace-agent": 1 },
  faultCount: 1,
  faultEveryMs: [1_000, 1_200] as const,
  asks: () => ({ ...steady, operation: "kill" }) as const,
};

const faults: Readonly<Record<string, PlantedFault>> = {
  "an agent that forgets which commands it knows": {
    mutations: [
      {
        file: "src/agent/execution/admission.ts",
        from: "? admissionOfKnown(command, state.journal)",
        to: "? undefined",
      },
      // The control plane asks what the agent knows before it sends anything again; only an agent that forgets that as well shows the fault.
      ...[
        "runningIds: executor.runningIds(),",
        "heldIds: journal.held().map(({ commandId }) => commandId),",
      ].map((from) => ({
        file: "src/agent/session/session.ts",
        from,
        to: `${from.slice(0, from.indexOf(":"))}: [],`,
      })),
    ],
    run: {
      ...small,
      faults: { "half-open": 3, cut: 1 },
      faultEveryMs: [50, 250],
      asks: () => ({ ...steady, operation: "kill" }),
    },
    breaks: ["nothing is executed twice"],
  },

  "an agent that answers before its journal is written": {
    mutations: [
      {
        file: "src/agent/execution/journal.ts",
        from: "if (!this.#closed && this.#flushing === undefined) this.#flushSoon();\n    await this.#gathered(run);",
        // Later than the end of the run.
        to: "setTimeout(() => void this.#gathered(run), 600_000).unref();",
      },
    ],
    run: {
      ...once,
      faults: { "isolate-and-kill-agent": 1 },
      asks: () => ({ ...steady, operation: "kill" }),
    },
    breaks: ["nothing is executed twice"],
  },

  "a control plane that answers before its journal is written": {
    mutations: [
      {
        file: "src/control-plane/dispatch/command-journal.ts",
        from: "await this.#storage.commit({ commands: [stored], events: [event] });",
        to: "setTimeout(() => this.#storage.commit({ commands: [stored], events: [event] }), 5_000);",
      },
    ],
    run: {
      ...once,
      faults: { "kill-control-plane": 1 },
      // Then agents have forgotten some of the results.
      faultAfterAnswers: 20,
      faultEveryMs: [500, 600],
      asks: () => ({ ...steady, operation: "restart" }),
    },
    breaks: ["nothing acknowledged is lost"],
  },

  "a control plane that sends again what an agent without its journal may have run": {
    mutations: ["record.journalId !== session.identity.journalId", 'record.state === "ACCEPTED"'].map(
      (lost) => ({
        file: "src/control-plane/dispatch/deliveries.ts",
        from: `else if (${lost}) this.#lost(record);`,
        to: "",
      }),
    ),
    run: {
      ...once,
      faults: { "kill-agent-and-journal": 1 },
      asks: () => ({ ...steady, operation: "restart" }),
    },
    breaks: ["nothing is executed twice"],
  },

  "a control plane that forgets its callers' keys": {
    mutations: [
      {
        file: "src/control-plane/dispatch/request-keys.ts",
        from: "if (stored === undefined) return create();",
        to: "return create();",
      },
    ],
    run: {
      ...once,
      faults: { cut: 1, reset: 1 },
      faultCount: 5,
      faultEveryMs: [50, 200],
      asks: ({ index }) => ({ ...steady, operation: "kill", requestId: `key-${index}`, hangsUpAfterMs: 20 }),
    },
    breaks: ["one request is one command", "nothing is executed twice"],
  },

  "an agent that skips the check of its session before it acts": {
    mutations: [
      ["if ((this.#session?.silentMs ?? Infinity) > freshMs) await turn();", "if (epoch > 0) return;"],
      ["return this.#lives && this.#session?.lapsed === false;", "return true;"],
    ].map(([from = "", to = ""]) => ({ file: "src/agent/execution/fence.ts", from, to })),
    run: replacing,
    breaks: ["nothing comes from an agent that was replaced"],
    runs: 1,
  },

  "an agent that takes a data folder that another one uses": {
    mutations: [
      {
        file: "src/agent/agent.ts",
        from: 'config.dataDirIsLocked ? undefined : lockFolder(dataDir, "agent")',
        to: "undefined as FolderLock | undefined",
      },
    ],
    run: { ...replacing, faults: { "double-agent": 1 } },
    breaks: ["no two agents use one data folder"],
    runs: 1,
  },
};

/** A kill that comes at a bad moment on this machine may come at a good one: so many runs there are to find the fault. */
const seeds = [7, 8, 9];

describe("the checker", () => {
  for (const [what, { mutations, run, breaks, runs = seeds.length }] of Object.entries(faults)) {
    it(`C29 notices ${what}`, async function () {
      this.timeout(240_000);
      await using mutant = await plantFault(mutations);
      const seen = new Set<PromiseName>();
      for (const seed of seeds.slice(0, runs)) {
        const { violations } = await runChaos({ ...run, seed, root: mutant.root });
        for (const { promise } of violations) seen.add(promise);
        if (breaks.some((promise) => seen.has(promise))) return;
      }
      assert.fail(`it has not noticed it; broken: ${[...seen].join(", ") || "nothing"}`);
    });
  }
});
