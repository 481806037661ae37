import type { Environment } from "../cli/environment.ts";
import { explainListenFailure } from "../cli/listen-failure.ts";
import { startControlPlane } from "../control-plane/control-plane.ts";
import { addressText, createLogger, graceMs, untilAborted } from "./local-process.ts";
import type { ListenOptions, LocalOptions } from "./local-process.ts";

/** What `serve` can be told. */
export interface ServeOptions extends LocalOptions, ListenOptions {}

/** Runs a control plane until the signal of the environment aborts, then drains it. Rejects when it cannot start. */
export async function runServe(options: ServeOptions, environment: Environment): Promise<void> {
  const logger = createLogger(environment, options.logLevel);
  const controlPlane = await startControlPlane({
    dataDir: options.data,
    agentsListen: options.agentsListen,
    apiListen: options.apiListen,
    logger,
  }).catch((error: unknown) => {
    throw explainListenFailure(error);
  });
  logger.info(
    {
      api: `http://${addressText(controlPlane.apiAddress)}`,
      agents: addressText(controlPlane.agentsAddress),
      data: options.data,
    },
    "the control plane is ready; it has neither TLS nor API keys yet, so only this machine can reach it",
  );
  await untilAborted(environment.signal);
  logger.info("the control plane drains; a second signal ends it at once");
  await controlPlane.close(graceMs);
  logger.info("the control plane has ended");
}
