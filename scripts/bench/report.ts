import { writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform } from "node:os";
import Table from "cli-table3";
import type { Figure, Row } from "./row.ts";
import { type Summary, summaryOf } from "./statistics.ts";

/** One figure of one row, measured. */
export interface Result {
  readonly row: string;
  readonly title: string;
  readonly unit: string;
  readonly product: Summary;
  /** What it is compared with. */
  readonly floor: Comparison | undefined;
  readonly must: string;
  readonly hope: string;
  readonly verdict: "met" | "missed" | "";
}

/** A floor, measured in the same run. */
export interface Comparison {
  readonly name: string;
  readonly summary: Summary;
  /** Of the medians. */
  readonly ratio: number;
  /** Of each round by itself. */
  readonly ratios: Summary;
}

/** The values of one round, one for each figure; the floor's may be fewer, or none. */
export interface Round {
  readonly floor: readonly number[];
  readonly product: readonly number[];
}

/** What came of a row. */
export function resultsOf(row: Row, rounds: readonly Round[]): Result[] {
  return row.figures.map((figure, index) => {
    const product = summaryOf(rounds.map((round) => round.product[index] ?? Number.NaN));
    const floor = comparisonOf(row, rounds, index, product);
    return {
      row: row.key,
      title: [row.title, figure.name].filter((part) => part !== "").join(", "),
      unit: figure.unit,
      product,
      floor,
      must: budgetText(figure, figure.must),
      hope: budgetText(figure, figure.hope),
      verdict: verdictOf(figure, isOfValue(figure) ? product.median : floor?.ratio),
    };
  });
}

function comparisonOf(
  row: Row,
  rounds: readonly Round[],
  index: number,
  product: Summary,
): Comparison | undefined {
  const values = rounds.map(({ floor }) => floor[index]).filter((value) => value !== undefined);
  if (row.floor === undefined || values.length === 0) return undefined;
  const summary = summaryOf(values);
  return {
    name: row.floor.name,
    summary,
    ratio: product.median / summary.median,
    ratios: summaryOf(
      rounds.map((round) => (round.product[index] ?? Number.NaN) / (round.floor[index] ?? Number.NaN)),
    ),
  };
}

/** The results as a table for a terminal. */
export function tableOf(results: readonly Result[]): string {
  const table = new Table({
    head: ["figure", "floor", "Fairlead", "ratio", "must", "hope", ""],
    style: { head: [], border: [], compact: true },
  });
  for (const { title, unit, floor, product, must, hope, verdict } of results) {
    table.push([
      title,
      floor === undefined ? "" : `${summaryText(floor.summary, unit)}\n${floor.name}`,
      summaryText(product, unit),
      floor === undefined ? "" : ratioText(floor),
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

function ratioText({ ratio, ratios }: Comparison): string {
  return `${ratio.toFixed(2)} ×\n${ratios.min.toFixed(2)} to ${ratios.max.toFixed(2)}`;
}

function isOfValue({ bounds = "ratio" }: Figure): boolean {
  return bounds === "value";
}

function budgetText(figure: Figure, bound: number | undefined): string {
  if (bound === undefined) return "";
  const sign = figure.better === "higher" ? "≥" : "≤";
  return isOfValue(figure) ? `${sign} ${bound.toLocaleString("en")}${figure.unit}` : `${sign} ${bound} ×`;
}

function verdictOf({ better, must }: Figure, value: number | undefined): Result["verdict"] {
  if (must === undefined || value === undefined) return "";
  return (better === "higher" ? value >= must : value <= must) ? "met" : "missed";
}
