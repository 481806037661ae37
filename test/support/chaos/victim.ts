import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { sharedCompileCache } from "../compile-cache.ts";

/** A process of the product that is killed and started again. */
export class Victim {
  readonly #script: string;
  readonly #logPath: string;
  #child: ChildProcess | undefined;

  /** `script`: the module to run. `logPath`: where what it says on standard error is added. */
  constructor(options: { readonly script: string; readonly logPath: string }) {
    this.#script = options.script;
    this.#logPath = options.logPath;
  }

  /** Whether it runs. */
  get alive(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it with settings; `onMessage` is told all that it says. Its end, however it comes, resolves the promise. */
  start(settings: unknown, onMessage: (message: unknown) => void): { readonly ended: Promise<void> } {
    const log = openSync(this.#logPath, "a");
    const child = fork(this.#script, [JSON.stringify(settings)], {
      execPath: process.execPath,
      execArgv: [],
      env: { PATH: process.env["PATH"], ...sharedCompileCache },
      stdio: ["ignore", log, log, "ipc"],
    });
    closeSync(log);
    this.#child = child;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.on("message", (message) => {
      if (this.#child === child) onMessage(message);
    });
    child.on("error", () => undefined);
    child.once("close", () => {
      if (this.#child === child) this.#child = undefined;
      resolve();
    });
    return { ended: promise };
  }

  /** SIGKILL, and the end. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once("close", () => resolve());
    child.kill("SIGKILL");
    await promise;
  }

  /** SIGSTOP: it stands still, as on a machine that swaps. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child?.kill("SIGCONT");
  }
}

/** A process of a fleet, not started yet. `root`: where the sources to run are; `folder`: where its log goes. */
export function processOf(
  { folder, root }: { readonly folder: string; readonly root: string },
  kind: "agent" | "control-plane",
  name: string = kind,
): Victim {
  return new Victim({
    script: join(root, "test/support/chaos", `${kind}-process.ts`),
    logPath: join(folder, `${name}.log`),
  });
}
