import type { Command } from "commander";
import type { CommandLine } from "../cli/invocation.ts";
import type { ControlPlaneOptions } from "./local-control-plane.ts";
import { addLimitOptions } from "./limit-options.ts";
import { addListenOptions, addLocalOptions } from "./local-process.ts";
import { addOidcOptions } from "./oidc-options.ts";
import { addTlsOptions } from "./tls-options.ts";

/** `fairlead serve`: a control plane, until somebody ends it. */
export function addServeCommand(program: Command, line: CommandLine): void {
  const command = program
    .command("serve")
    .summary("run a control plane")
    .description(
      "Runs a control plane until Ctrl-C. It has TLS and API keys from the first start: by an authority of its own that agents and callers pin, and with the key of an admin in the data folder.",
    )
    .addHelpText("after", examples);
  addLimitOptions(addOidcOptions(addTlsOptions(addListenOptions(addLocalOptions(command, "info"))))).action(
    async (options: ControlPlaneOptions) => {
      // Loaded only now, so that the commands that only call the API start quickly.
      const { runServe } = await import("./run-serve.ts");
      await runServe(options, line.environment);
    },
  );
}

const examples = `
Examples:
  fairlead serve
  fairlead serve --data /var/lib/fairlead --advertise fleet.example.com
  fairlead serve --tls-cert fullchain.pem --tls-key privkey.pem
`;
