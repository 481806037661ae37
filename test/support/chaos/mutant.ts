import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "./fleet.ts";

/** A change of one file: the text, which must be there exactly once, and what stands in its place. */
export interface Mutation {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A copy of the sources with something wrong in it. */
export interface Mutant extends AsyncDisposable {
  /** What `ChaosOptions.root` wants. */
  readonly root: string;
}

/** Copies what a fleet runs and changes it. Rejects when a text is not there exactly once: then the mutation is out of date. */
export async function plantFault(mutations: readonly Mutation[]): Promise<Mutant> {
  const root = await mkdtemp(join(tmpdir(), "fairlead-mutant-"));
  const remove = () => rm(root, { recursive: true, force: true });
  try {
    for (const path of ["package.json", "src", "test/support/chaos"]) {
      await cp(join(projectRoot, path), join(root, path), { recursive: true });
    }
    await symlink(join(projectRoot, "node_modules"), join(root, "node_modules"));
    for (const mutation of mutations) await change(root, mutation);
  } catch (error) {
    await remove();
    throw error;
  }
  return { root, [Symbol.asyncDispose]: remove };
}

async function change(root: string, { file, from, to }: Mutation): Promise<void> {
  const path = join(root, file);
  const [before, after, ...more] = (await readFile(path, "utf8")).split(from);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${file} does not have this exactly once: ${from}`);
  }
  await writeFile(path, `${before}${to}${after}`);
}
