import { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import {
  docker,
  openEngineSockets,
  removeContainers,
  requireDocker,
  testImage,
  testLabel,
  uniqueName,
} from "../support/docker.ts";
import { describeEngine } from "../support/engine-conformance.ts";
import { silentLogger } from "../support/silent-logger.ts";

const subject = `engine-conformance-${process.pid}`;

interface Top {
  readonly Processes: readonly (readonly string[])[];
}

describeEngine("docker: the real engine", async (context) => {
  await requireDocker(context);
  const image = await testImage();
  const network = await docker.createNetwork({ Name: uniqueName(subject), Labels: { [testLabel]: subject } });
  const { Name: networkName } = (await network.inspect()) as { Name: string };
  const path = "/var/run/docker.sock";
  const engine = new DockerEngine({
    endpoint: { kind: "socket", address: `unix://${path}`, path },
    clock: systemClock,
    logger: silentLogger,
  });
  const others = openEngineSockets();
  return {
    engine,
    image,
    network: networkName,
    labels: { [testLabel]: subject },
    uniqueName: () => uniqueName(subject),
    openStreams: () => openEngineSockets() - others,
    async processesOf(container) {
      const { Processes } = (await docker.getContainer(container).top({ ps_args: "-eo pid,args" })) as Top;
      return Processes.map(([, command = ""]) => command);
    },
    async dispose() {
      await engine.close();
      await removeContainers(subject);
      await network.remove();
    },
  };
});
