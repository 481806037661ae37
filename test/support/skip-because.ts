import type { Context } from "mocha";

/** Skips a test, and says why where somebody reads the output. */
export function skipBecause(context: Context, reason: string): never {
  console.log(`      skipped: ${reason}`);
  return context.skip();
}
