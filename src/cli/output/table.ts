import Table from "cli-table3";

/**
 * A table in docker's look: no borders, three spaces between columns, none at the end of a line. Columns fit
 * their widest cell, wide characters counted as the terminal shows them; nothing is cut, so that a pipe gets whole
 * cells. Cells must be escaped already. Ends with a line break.
 */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    chars: Object.fromEntries(borders.map((border) => [border, ""])),
    style: { "padding-left": 0, "padding-right": 3, head: [], border: [] },
  });
  table.push([...head], ...rows.map((row) => [...row]));
  return table.toString().replace(/ +$/gm, "").concat("\n");
}

const borders = [
  "top",
  "top-mid",
  "top-left",
  "top-right",
  "bottom",
  "bottom-mid",
  "bottom-left",
  "bottom-right",
  "left",
  "left-mid",
  "mid",
  "mid-mid",
  "right",
  "right-mid",
  "middle",
];
