import type { Environment } from "../cli/environment.ts";
import { startLocalControlPlane } from "./local-control-plane.ts";
import type { ControlPlaneOptions } from "./local-control-plane.ts";
import { addressText, createLogger, graceMs, untilAborted } from "./local-process.ts";

/** Runs a control plane until the signal of the environment aborts, then drains it. Rejects when it cannot start. */
export async function runServe(options: ControlPlaneOptions, environment: Environment): Promise<void> {
  const logger = createLogger(environment, options.logLevel);
  const { controlPlane, ca } = await startLocalControlPlane(options, environment, logger);
  logger.info(
    {
      api: controlPlane.apiUrl,
      agents: addressText(controlPlane.agentsAddress),
      data: options.data,
      ...(ca && { ca }),
    },
    "the control plane is ready",
  );
  await untilAborted(environment.signal);
  logger.info("the control plane drains; a second signal ends it at once");
  await controlPlane.close(graceMs);
  logger.info("the control plane has ended");
}
