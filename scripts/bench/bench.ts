import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { type Result, type Round, resultsOf, tableOf, writeResults } from "./report.ts";
import type { Arm, Row, RunSettings } from "./row.ts";
import { rows } from "./rows.ts";

const resultsPath = fileURLToPath(new URL("../../bench-results.json", import.meta.url));

const description = `Measures Fairlead beside the least that the same work can cost, in one run on one machine.

Floor and product take turns, each with the server in one process and the agents in others, over loopback without TLS unless a
row says so. Commands are driven inside the control plane, with the product's own settings; who reads logs or follows events
does so at the API, in a process of its own. Machines differ, so that ratios count, and seconds only where there is nothing to
compare with; other work on the machine spoils both. 10,000 agents need 11,000 open files (ulimit -n); with fewer, what was
measured is scaled.

Rows: ${rows.map(({ key }) => key).join(", ")}`;

interface BenchOptions {
  readonly quick: boolean;
  readonly only?: readonly Row[];
  readonly profile?: string;
  readonly rounds: number;
}

await new Command("bench")
  .description(description)
  .option("--quick", "one short round of each row: shows that everything works, not how fast it is", false)
  .option("--rounds <number>", "how often each row is measured", wholeNumber, 5)
  .option("--only <row>", "measure this row only; may be given again", chosenRows)
  .option("--profile <folder>", "let the product's processes write CPU profiles there")
  .action(run)
  .parseAsync();

async function run({ quick, only = rows, profile, rounds: wanted }: BenchOptions): Promise<void> {
  const rounds = quick ? 1 : wanted;
  const results: Result[] = [];
  for (const row of only) {
    console.log(`measuring ${row.title}`);
    results.push(...(await measure(row, { quick, profileFolder: profile }, rounds)));
  }
  console.log(tableOf(results));
  writeResults(resultsPath, results, quick);
  console.log(
    `median of ${rounds} with the least and the most; also in bench-results.json. At most 1,024 commands may be in flight for one agent, the product's own limit; 512 are.`,
  );
}

async function measure(row: Row, settings: RunSettings, count: number): Promise<Result[]> {
  const floorArm = await row.floor?.open(settings);
  try {
    const productArm = await row.openProduct(settings);
    try {
      const rounds: Round[] = [];
      for (let round = 0; round < count; round += 1) {
        // Each goes first in turn, so that neither always finds the machine warmer.
        rounds.push(await measureOnce(floorArm, productArm, round % 2 === 0));
      }
      return resultsOf(row, rounds);
    } finally {
      await productArm.close();
    }
  } finally {
    await floorArm?.close();
  }
}

async function measureOnce(
  floorArm: Arm | undefined,
  productArm: Arm,
  isFloorFirst: boolean,
): Promise<Round> {
  if (floorArm === undefined) return { floor: [], product: await productArm.measure() };
  const first = await (isFloorFirst ? floorArm : productArm).measure();
  const second = await (isFloorFirst ? productArm : floorArm).measure();
  return isFloorFirst ? { floor: first, product: second } : { floor: second, product: first };
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError("Write a number from 1 to 99.");
  return Number(text);
}

function chosenRows(key: string, chosen: readonly Row[] = []): readonly Row[] {
  const row = rows.find((candidate) => candidate.key === key);
  if (row === undefined) {
    throw new InvalidArgumentError(`Choose of: ${rows.map(({ key }) => key).join(", ")}.`);
  }
  return [...chosen, row];
}
