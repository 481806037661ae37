import { spawnSync } from "node:child_process";
import type { ByteInput, Terminal } from "../cli/environment.ts";

/** What is typed or piped into this process. */
export const standardInput: ByteInput = {
  async *read(signal) {
    const { stdin } = process;
    const onAbort = () => stdin.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal.aborted) return;
      for await (const bytes of stdin) yield bytes as Uint8Array;
    } catch (error) {
      // Destroyed because nobody wants it any more: that is its end.
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  },
};

/** The terminal of this process. Undefined: its output is none. */
export function ownTerminal(): Terminal | undefined {
  const { stdin, stdout } = process;
  if (!stdout.isTTY) return undefined;
  return {
    isInput: stdin.isTTY,
    size: () => ({ columns: stdout.columns, rows: stdout.rows }),
    setRaw(raw) {
      if (!stdin.isTTY || stdin.destroyed) return;
      stdin.setRawMode(raw);
      // Node.js leaves the terminal to begin a new line at each line feed (libuv, `uv_tty_set_mode`), which full-screen programs use to go
      // down and nothing else. What setRawMode(false) restores includes this.
      if (raw) spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
    },
    onResize(listener) {
      stdout.on("resize", listener);
      return () => stdout.off("resize", listener);
    },
  };
}
