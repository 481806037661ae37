// Looks for broken promises: npm run chaos -- --seed 1 --commands 5000. docs/guarantees.md says what is looked for.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CommandState } from "../src/gen/fairlead/command/v1/command_pb.js";
import { type ChaosReport, runChaos } from "../test/support/chaos/chaos-run.ts";

const usage = `Usage: npm run chaos -- [options]

  --seed <number>      where all that is random comes from (default: the time)
  --seeds <number>     so many runs, with this seed and the following ones (default: 1)
  --commands <number>  how many things are asked for in each run (default: 500)
  --minutes <number>   ask for nothing more after so long
  --agents <number>    how many hosts there are (default: 3)
  --keep <folder>      keep databases, journals, logs and a report of each run here
  --quiet              do not print the schedule of faults
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    seeds: { type: "string", default: "1" },
    commands: { type: "string", default: "500" },
    minutes: { type: "string" },
    agents: { type: "string", default: "3" },
    keep: { type: "string" },
    quiet: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(usage);
} else {
  const first = wholeNumber("seed", 0);
  let broken = 0;
  for (let seed = first; seed < first + wholeNumber("seeds", 1); seed += 1) broken += await run(seed);
  process.exitCode = broken > 0 ? 1 : 0;
}

async function run(seed: number): Promise<number> {
  const folder = values.keep === undefined ? mkdtempSync(join(tmpdir(), "fairlead-chaos-")) : kept(seed);
  console.log(`seed ${seed}: ${values.commands} commands, ${values.agents} agents`);
  const report = await runChaos({
    seed,
    commands: wholeNumber("commands", 1),
    agents: wholeNumber("agents", 1),
    folder,
    ...(values.minutes === undefined ? {} : { limitMs: wholeNumber("minutes", 1) * 60_000 }),
    ...(values.quiet ? {} : { log: (line: string) => console.log(`  ${line}`) }),
  });
  console.log(`seed ${seed}: ${summaryOf(report)}`);
  for (const { promise, detail } of report.violations) console.error(`  BROKEN: ${promise}: ${detail}`);
  if (values.keep !== undefined) {
    writeFileSync(join(folder, "report.json"), JSON.stringify(report, jsonFrom, 2));
  } else if (report.violations.length === 0) {
    rmSync(folder, { recursive: true, force: true });
  } else {
    console.error(`  databases, journals and logs: ${folder}`);
  }
  return report.violations.length;
}

function kept(seed: number): string {
  const folder = join(values.keep ?? "", `seed-${seed}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

function summaryOf({ history, violations, faults, settledAfterMs, tookMs }: ChaosReport): string {
  const ends = Map.groupBy(history.commands, ({ state }) => CommandState[state] ?? `${state}`);
  const counts = [...ends].map(([state, commands]) => `${commands.length} ${state}`).toSorted();
  return [
    `${history.asks.length} asked, ${history.answers.length} answers, ${history.commands.length} commands (${counts.join(", ")})`,
    `${history.executions.length} executions, ${faults} faults, all ended ${(settledAfterMs / 1_000).toFixed(1)} s after the last`,
    `${(tookMs / 1_000).toFixed(0)} s, ${violations.length === 0 ? "nothing broken" : `${violations.length} BROKEN`}`,
  ].join("; ");
}

function wholeNumber(option: "seed" | "seeds" | "commands" | "minutes" | "agents", least: number): number {
  const value = Number(values[option]);
  if (Number.isSafeInteger(value) && value >= least) return value;
  console.error(`--${option} must be a whole number, at least ${least}\n\n${usage}`);
  process.exit(2);
}

function jsonFrom(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}`;
  return value instanceof Map ? [...value] : value;
}
