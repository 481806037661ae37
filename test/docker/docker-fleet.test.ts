import {
  docker,
  ensureImage,
  removeContainers,
  requireDocker,
  testImage,
  uniqueName,
} from "../support/docker.ts";
import { dockerFleetEngine, type FleetEngine } from "../support/fleet-engine.ts";
import { describeFleet } from "../support/fleet-suite.ts";
import { startPrivateEngine } from "../support/private-engine.ts";

describeFleet(
  "docker: a fleet on a real engine",
  async (context, use) => {
    await requireDocker(context);
    return use === "lasting" ? sharedEngine() : breakableEngine(context);
  },
  { hasShell: true },
);

/** The machine's own engine is no test's to stop. */
async function refuse(): Promise<never> {
  throw new Error("only a private engine may be stopped");
}

async function sharedEngine(): Promise<FleetEngine> {
  await testImage();
  const subject = uniqueName("fleet");
  return dockerFleetEngine(docker, {
    socketPath: "/var/run/docker.sock",
    subject,
    fail: refuse,
    recover: refuse,
    after: () => removeContainers(subject),
  });
}

async function breakableEngine(context: Mocha.Context): Promise<FleetEngine> {
  const dockerd = await startPrivateEngine(context);
  try {
    await ensureImage(dockerd.docker);
  } catch (error) {
    await dockerd.dispose();
    throw error;
  }
  return dockerFleetEngine(dockerd.docker, {
    socketPath: dockerd.socketPath,
    subject: "breakable-fleet",
    fail: () => dockerd.stop(),
    recover: () => dockerd.start(),
    after: () => dockerd.dispose(),
  });
}
