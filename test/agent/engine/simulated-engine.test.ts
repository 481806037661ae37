import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { describeEngine } from "../../support/engine-conformance.ts";

describeEngine("agent/engine: the simulated engine", async () => {
  const image = "fairlead-test/busybox:latest";
  const engine = new SimulatedEngine({ clock: systemClock, networks: ["second-network"] });
  let lastNumber = 0;
  return {
    engine,
    image,
    network: "second-network",
    labels: {},
    uniqueName: () => `simulated-${(lastNumber += 1)}`,
    openStreams: () => engine.open.logs + engine.open.processes + engine.open.archives,
    processesOf: async (container) => engine.processesOf(container),
    dispose: () => engine.close(),
  };
});
