import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder of the project. */
export const projectFolder = join(import.meta.dirname, "../..");

/** One fenced block of a page. */
export interface FencedBlock {
  /** The word behind the backticks, for example "sh". */
  readonly language: string;
  readonly text: string;
  /** The last heading before it. */
  readonly heading: string;
}

/** Reads a page of the project. */
export function readPage(path: string): string {
  return readFileSync(join(projectFolder, path), "utf8");
}

/** The fenced blocks of a page, in their order. */
export function fencedBlocks(page: string): FencedBlock[] {
  const blocks: FencedBlock[] = [];
  let heading = "";
  let open: { language: string; lines: string[] } | undefined;
  for (const line of page.split("\n")) {
    const fence = /^```(\w*)$/.exec(line);
    if (open !== undefined && fence !== null) {
      blocks.push({ language: open.language, text: `${open.lines.join("\n")}\n`, heading });
      open = undefined;
    } else if (open !== undefined) open.lines.push(line);
    else if (fence !== null) open = { language: fence[1] ?? "", lines: [] };
    else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
  }
  return blocks;
}

/** The cells of every table row of a page whose first cell is code, without backticks. */
export function tableRows(page: string): string[][] {
  return page
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) =>
      line
        .replace(/^\|\s*|\s*\|$/g, "")
        .split(/\s*\|\s*/)
        .map((cell) => cell.replace(/`/g, "")),
    );
}

/** The part of a page from one heading to the next one of the same level. */
export function section(page: string, heading: string): string {
  const [level = ""] = /^#+/.exec(heading) ?? [];
  const start = page.indexOf(`\n${heading}\n`);
  if (start === -1) throw new Error(`the page has no heading ${JSON.stringify(heading)}`);
  const body = page.slice(start + heading.length + 2);
  const end = body.search(new RegExp(`^${level} `, "m"));
  return end === -1 ? body : body.slice(0, end);
}
