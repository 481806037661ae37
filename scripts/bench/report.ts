import { writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform } from "node:os";
import Table from "cli-table3";
import type { Figure, Row } from "./rows.ts";
import { type Summary, summaryOf } from "./statistics.ts";

/** One figure of one row, measured. */
export interface Result {
  readonly row: string;
  readonly title: string;
  readonly unit: string;
  readonly floorName: string;
  readonly floor: Summary;
  readonly product: Summary;
  /** Of the medians. */
  readonly ratio: number;
  /** Of each round by itself. */
  readonly ratios: Summary;
  readonly must: string;
  readonly hope: string;
  readonly verdict: "met" | "missed" | "";
}

/** What came of a row: its rounds, each with the floor's values and the product's, one for each figure. */
export function resultsOf(
  row: Row,
  rounds: readonly { readonly floor: readonly number[]; readonly product: readonly number[] }[],
): Result[] {
  return row.figures.map((figure, index) => {
    const values = rounds.map(({ floor, product }) => ({
      floor: floor[index] ?? Number.NaN,
      product: product[index] ?? Number.NaN,
    }));
    const floor = summaryOf(values.map((value) => value.floor));
    const product = summaryOf(values.map((value) => value.product));
    const ratio = product.median / floor.median;
    return {
      row: row.key,
      title: [row.title, figure.name].filter((part) => part !== "").join(", "),
      unit: figure.unit,
      floorName: row.floorName,
      floor,
      product,
      ratio,
      ratios: summaryOf(values.map((value) => value.product / value.floor)),
      must: budgetText(figure, figure.must),
      hope: budgetText(figure, figure.hope),
      verdict: verdictOf(figure, ratio),
    };
  });
}

/** The results as a table for a terminal. */
export function tableOf(results: readonly Result[]): string {
  const table = new Table({
    head: ["figure", "floor", "Fairlead", "ratio", "must", "hope", ""],
    style: { head: [], border: [], compact: true },
  });
  for (const { title, unit, floorName, floor, product, ratio, ratios, must, hope, verdict } of results) {
    table.push([
      title,
      `${summaryText(floor, unit)}\n${floorName}`,
      summaryText(product, unit),
      `${ratio.toFixed(2)} ×\n${ratios.min.toFixed(2)} to ${ratios.max.toFixed(2)}`,
      must,
      hope,
      verdict,
    ]);
  }
  return table.toString();
}

/** Keeps the results as JSON, with what they depend on. */
export function writeResults(path: string, results: readonly Result[], isQuick: boolean): void {
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    platform: platform(),
    arch: arch(),
    node: process.version,
  };
  writeFileSync(path, `${JSON.stringify({ quick: isQuick, machine, results }, undefined, 2)}\n`);
}

function summaryText({ median, min, max }: Summary, unit: string): string {
  return `${numberText(median)}${unit}\n${numberText(min)} to ${numberText(max)}`;
}

function numberText(value: number): string {
  return value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString("en");
}

function budgetText({ better }: Figure, bound: number | undefined): string {
  if (bound === undefined) return "";
  return `${better === "higher" ? "≥" : "≤"} ${bound} ×`;
}

function verdictOf({ better, must }: Figure, ratio: number): Result["verdict"] {
  if (must === undefined) return "";
  return (better === "higher" ? ratio >= must : ratio <= must) ? "met" : "missed";
}
