import { execFile } from "node:child_process";
import { mkdtemp, mkdir, rm, symlink, copyFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { skipBecause } from "./skip-because.ts";

const run = promisify(execFile);

/** The label that every container of a test has, with the name of the test's subject as its value. */
export const testLabel = "dev.fairlead.test";

const imageName = "fairlead-test/busybox:latest";
const applets = ["sh", "sleep", "echo", "cat", "ls", "ps", "true", "false", "date"];

/** Where the Docker Engine of this machine listens. */
export const engineSocket = "/var/run/docker.sock";

/** The Docker Engine of this machine, for arranging and verifying only. It is never what a test is about. */
export const docker: Docker = new Docker({ socketPath: engineSocket });

let answers: Promise<boolean> | undefined;
let image: Promise<string> | undefined;

/** Skips the test or suite when no Docker Engine answers; fails it instead with FAIRLEAD_REQUIRE_DOCKER=1. */
export async function requireDocker(context: Mocha.Context): Promise<void> {
  answers ??= docker.ping().then(
    () => true,
    () => false,
  );
  if (!(await answers)) {
    giveUp(context, `no Docker Engine answers at ${engineSocket}`);
  }
}

/** Skips, or fails with FAIRLEAD_REQUIRE_DOCKER=1. Does not return. */
export function giveUp(context: Mocha.Context, why: string): never {
  if (process.env["FAIRLEAD_REQUIRE_DOCKER"] === "1") {
    throw new Error(`${why}, and FAIRLEAD_REQUIRE_DOCKER=1 wants it`);
  }
  return skipBecause(context, why);
}

/** The name of a small image with a shell and a few tools and no command of its own. Made on first use. */
export async function testImage(): Promise<string> {
  image ??= ensureImage(docker);
  return image;
}

/** Makes the test's image on an engine that does not have it. */
export async function ensureImage(engine: Docker): Promise<string> {
  try {
    await engine.getImage(imageName).inspect();
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) {
      throw error;
    }
    await importImage(engine);
  }
  return imageName;
}

async function importImage(engine: Docker): Promise<void> {
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
  if (busybox === undefined) {
    throw new Error("the test image is made of busybox: install the package busybox-static");
  }
  const folder = await mkdtemp(join(tmpdir(), "fairlead-image-"));
  try {
    const bin = join(folder, "root", "bin");
    await mkdir(bin, { recursive: true });
    await copyFile(busybox, join(bin, "busybox"));
    await Promise.all(applets.map((applet) => symlink("busybox", join(bin, applet))));
    await Promise.all(["tmp", "proc", "dev"].map((name) => mkdir(join(folder, "root", name))));
    const archive = join(folder, "image.tar");
    await run("tar", ["-C", join(folder, "root"), "-cf", archive, "."]);
    const [repo, tag] = imageName.split(":");
    const progress = await engine.importImage(archive, { repo, tag });
    await new Promise<void>((resolve, reject) => {
      engine.modem.followProgress(progress, (error: Error | null) => (error ? reject(error) : resolve()));
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The connections that this process has to whatever listens on Unix sockets. Its pipes count as well, where it has any. */
export function openEngineSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "PipeWrap").length;
}

let lastNumber = 0;

/** A name that no other container of this machine has. */
export function uniqueName(subject: string): string {
  lastNumber += 1;
  return `${subject}-${process.pid}-${Date.now().toString(36)}-${lastNumber}`;
}

/** Runs a container beside the code under test, and resolves to its id. */
export async function runContainer(options: {
  readonly subject: string;
  readonly name?: string;
  readonly command?: readonly string[];
  readonly create?: Docker.ContainerCreateOptions;
  readonly start?: boolean;
}): Promise<string> {
  const container = await docker.createContainer({
    Image: await testImage(),
    Cmd: [...(options.command ?? ["sleep", "600"])],
    Labels: { [testLabel]: options.subject },
    name: options.name ?? uniqueName(options.subject),
    ...options.create,
  });
  if (options.start !== false) {
    await container.start();
  }
  return container.id;
}

/** The command lines of the processes that run in a container. */
export async function processesOf(container: string): Promise<string[]> {
  const { Processes } = (await docker.getContainer(container).top({ ps_args: "-eo pid,args" })) as Top;
  return Processes.map(([, command = ""]) => command);
}

interface Top {
  readonly Processes: readonly (readonly string[])[];
}

/** Removes every container with this subject's label and fails when one is left. */
export async function removeContainers(subject: string): Promise<void> {
  const filters = { label: [`${testLabel}=${subject}`] };
  const found = await docker.listContainers({ all: true, filters });
  await Promise.all(found.map(({ Id }) => removeContainer(Id)));
  const left = await docker.listContainers({ all: true, filters });
  if (left.length > 0) {
    throw new Error(`containers are left behind: ${left.map(({ Names }) => Names.join()).join(", ")}`);
  }
}

async function removeContainer(id: string): Promise<void> {
  const container = docker.getContainer(id);
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    const { statusCode } = error as { statusCode?: number };
    if (statusCode === 409) {
      await container.wait({ condition: "removed" }).catch(() => {});
    } else if (statusCode !== 404) {
      throw error;
    }
  }
}
