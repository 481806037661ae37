import type { Command } from "commander";
import { startControlPlane } from "../control-plane/control-plane.ts";
import { explainListenFailure } from "../cli/listen-failure.ts";
import type { CommandLine } from "../cli/invocation.ts";
import {
  addListenOptions,
  addLocalOptions,
  addressText,
  createLogger,
  graceMs,
  untilAborted,
} from "./local-process.ts";
import type { ListenOptions, LocalOptions } from "./local-process.ts";

/** `fairlead serve`: a control plane, until somebody ends it. */
export function addServeCommand(program: Command, line: CommandLine): void {
  const command = program
    .command("serve")
    .summary("run a control plane")
    .description(
      "Runs a control plane until Ctrl-C. This version has neither TLS nor API keys yet, so it listens on loopback addresses only.",
    )
    .addHelpText("after", examples);
  addListenOptions(addLocalOptions(command, "info")).action(async (options: LocalOptions & ListenOptions) => {
    const { environment } = line;
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
  });
}

const examples = `
Examples:
  fairlead serve
  fairlead serve --data /var/lib/fairlead --api-listen 127.0.0.1:8080
`;
