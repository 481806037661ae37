import type { Context } from "mocha";
import { skipBecause } from "./skip-because.ts";

/** Skips a test whose tool is not on this machine, and says so; fails it where FAIRLEAD_REQUIRE_TOOLS says that every tool is. */
export function requireTool(context: Context, tool: string, isThere: boolean): void {
  if (isThere) return;
  if (process.env["FAIRLEAD_REQUIRE_TOOLS"] === "1") {
    throw new Error(`${tool} is missing, and FAIRLEAD_REQUIRE_TOOLS=1`);
  }
  skipBecause(context, `${tool} is missing`);
}
