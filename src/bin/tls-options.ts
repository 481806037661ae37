import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import type { TlsConfig } from "../control-plane/config.ts";

/** How the listeners of a control plane are secured, as it was asked for. */
export interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly advertise?: readonly string[];
  readonly insecure?: boolean;
  readonly agentMtls?: "require" | "offer";
}

/** Gives a command the settings of a control plane's certificate. */
export function addTlsOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--advertise <name>",
        "a name or address that agents and callers know it by, for its certificate; the machine's own are in it",
      )
        .env("FAIRLEAD_ADVERTISE")
        .argParser((text: string, sofar: readonly string[] = []) => [...sofar, ...namesIn(text)]),
    )
    .addOption(
      new Option(
        "--tls-cert <file>",
        "a certificate of yours with its chain, PEM (default: one of an authority of its own)",
      ).env("FAIRLEAD_TLS_CERT"),
    )
    .addOption(new Option("--tls-key <file>", "its private key, PEM").env("FAIRLEAD_TLS_KEY"))
    .addOption(
      new Option(
        "--agent-mtls [mode]",
        "give agents certificates for TLS, and require them (offer: do not require them yet)",
      )
        .env("FAIRLEAD_AGENT_MTLS")
        .choices(["require", "offer"])
        .preset("require"),
    )
    .option(
      "--insecure",
      "plaintext, for use behind something that ends TLS (env: FAIRLEAD_INSECURE=true); said at every start",
    );
}

/** The TLS that a control plane is to have. Throws `InvalidArgumentError` for settings that do not go together. */
export function tlsConfigFrom(
  { tlsCert, tlsKey, advertise, insecure }: TlsOptions,
  env: Readonly<Record<string, string | undefined>>,
): TlsConfig {
  const plaintext = insecure ?? saysYes("FAIRLEAD_INSECURE", env["FAIRLEAD_INSECURE"]);
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new InvalidArgumentError("--tls-cert and --tls-key go together.");
  }
  if (plaintext && tlsCert !== undefined) {
    throw new InvalidArgumentError("--insecure and --tls-cert contradict each other.");
  }
  if (plaintext) return { kind: "off" };
  return tlsCert === undefined || tlsKey === undefined
    ? { kind: "own", advertise: advertise ?? [] }
    : { kind: "files", certificate: tlsCert, privateKey: tlsKey, advertise: advertise ?? [] };
}

/** Whether a variable that can only be on or off is on. Throws `InvalidArgumentError` where it says something else. */
export function saysYes(name: string, value = ""): boolean {
  if (/^(1|true|yes)$/i.test(value)) return true;
  if (/^(0|false|no)?$/i.test(value)) return false;
  throw new InvalidArgumentError(`${name} is true or false.`);
}

function namesIn(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => !/^[A-Za-z0-9:_.-]{1,253}$/.test(name))) {
    throw new InvalidArgumentError("Write names or addresses, without a port.");
  }
  return names;
}
