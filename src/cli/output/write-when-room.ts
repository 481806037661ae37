import type { TextOutput } from "../environment.ts";

/** Writes, and waits until the reader of the output has room for more, or the signal aborts. */
export async function writeWhenRoom(
  output: TextOutput,
  bytes: string | Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  if (output.write(bytes) !== false || output.once === undefined || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  output.once("drain", resolve);
  signal.addEventListener("abort", onAbort, { once: true });
  await promise;
  signal.removeEventListener("abort", onAbort);
  output.off?.("drain", resolve);
}
