import { constants } from "node:os";
import { failureFromAnswer } from "./docker-errors.ts";

const { SIGKILL } = constants.signals;

/**
 * The number of a signal as Docker reads it: "SIGHUP", "hup", "1", "RTMIN+3". Empty: SIGKILL. Throws `INVALID_ARGUMENT` in
 * Docker's words for what is no signal of Linux.
 */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text) && Number(text) > 64) {
    throw failureFromAnswer(400, `The linux daemon does not support signal ${text}`);
  }
  const number = text === "" ? SIGKILL : /^\d+$/.test(text) ? Number(text) : signalNumber(text);
  if (!number) {
    throw failureFromAnswer(400, `Invalid signal: ${text}`);
  }
  return number;
}

const firstRealTimeSignal = 34;
const lastRealTimeSignal = 64;

/** The same; undefined for what is no signal. */
export function signalNumber(name: string): number | undefined {
  const bare = name.toUpperCase().replace(/^SIG/, "");
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(bare);
  if (realTime !== null) {
    const base = realTime[1] === "MIN" ? firstRealTimeSignal : lastRealTimeSignal;
    const number = base + Number(`${realTime[2] ?? "+"}${realTime[3] ?? 0}`);
    return number >= firstRealTimeSignal && number <= lastRealTimeSignal ? number : undefined;
  }
  return (constants.signals as Readonly<Record<string, number>>)[`SIG${bare}`];
}
