import {
  docker,
  openEngineSockets,
  processesOf,
  removeContainers,
  requireDocker,
  testImage,
  testLabel,
  uniqueName,
} from "../support/docker.ts";
import { describeEngine } from "../support/engine-conformance.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";

const subject = `engine-conformance-${process.pid}`;

describeEngine("docker: the real engine", async (context) => {
  await requireDocker(context);
  const image = await testImage();
  const network = await docker.createNetwork({ Name: uniqueName(subject), Labels: { [testLabel]: subject } });
  const { Name: networkName } = (await network.inspect()) as { Name: string };
  const engine = engineAtSocket();
  const others = openEngineSockets();
  return {
    engine,
    image,
    network: networkName,
    labels: { [testLabel]: subject },
    uniqueName: () => uniqueName(subject),
    openStreams: () => openEngineSockets() - others,
    processesOf,
    async dispose() {
      await engine.close();
      await removeContainers(subject);
      await network.remove();
    },
  };
});
