import { type Logger, pino } from "pino";

/** A logger for tests that do not look at logs. */
export const silentLogger: Logger = pino({ level: "silent" });
