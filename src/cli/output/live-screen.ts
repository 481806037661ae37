import type { Environment } from "../environment.ts";

const toTop = "\u001b[H";
const clearAll = "\u001b[2J";
const clearLine = "\u001b[K";
const clearBelow = "\u001b[J";

const minRows = 3;

/** A terminal on which one text takes the place of the other. */
export class LiveScreen {
  readonly #environment: Environment;
  #begun = false;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Shows a text, escaped already, as far as there are lines for it. What was there is written over, so that nothing flickers. */
  show(text: string): void {
    const { terminal, stdout } = this.#environment;
    const height = terminal?.size().rows ?? 0;
    // Some terminals do not know how high they are.
    const rows = height < minRows ? Number.POSITIVE_INFINITY : height;
    const lines = text.trimEnd().split("\n");
    const shown =
      lines.length < rows ? lines : [...lines.slice(0, rows - 2), `… ${lines.length - rows + 2} more`];
    const begin = this.#begun ? toTop : `${clearAll}${toTop}`;
    this.#begun = true;
    stdout.write(`${begin}${shown.map((line) => `${line}${clearLine}\n`).join("")}${clearBelow}`);
  }
}
