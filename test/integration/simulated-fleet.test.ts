import { simulatedFleetEngine } from "../support/fleet-engine.ts";
import { describeFleet } from "../support/fleet-suite.ts";

describeFleet("integration: a fleet on simulated engines", async () => simulatedFleetEngine());
