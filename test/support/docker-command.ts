import { spawnSync, execFile } from "node:child_process";
import { requireDocker } from "./docker.ts";
import { requireTool } from "./require-tool.ts";

/** How a docker command ended, and all that it wrote. */
export interface DockerTold {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Skips the test or suite without a Docker Engine, as `requireDocker`, or without the docker command, as `requireTool`. */
export async function requireDockerCommand(context: Mocha.Context): Promise<void> {
  await requireDocker(context);
  requireTool(context, "docker", spawnSync("docker", ["--version"]).status === 0);
}

/** Runs the docker command, the measure of what we do. Resolves also when it fails; rejects when it cannot be run. */
export async function dockerCommand(...args: readonly string[]): Promise<DockerTold> {
  return new Promise((resolve, reject) => {
    const options = { encoding: "buffer", maxBuffer: 64 * 1024 * 1024 } as const;
    execFile("docker", args, options, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : error.code;
      if (typeof exitCode === "number") resolve({ exitCode, stdout, stderr });
      else reject(error);
    });
  });
}
