import { styleText } from "node:util";

/** What a text means; each meaning has its colour. */
export type Meaning = "good" | "busy" | "bad" | "faint" | "strong";

/** Colours text by what it means, or leaves it as it is. */
export type Paint = (meaning: Meaning, text: string) => string;

const styles = { good: "green", busy: "yellow", bad: "red", faint: "dim", strong: "bold" } as const;

/** A paint for a terminal, or for what is none. */
export function createPaint(colours: boolean): Paint {
  return (meaning, text) => (colours ? styleText(styles[meaning], text, { validateStream: false }) : text);
}
