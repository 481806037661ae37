import { styleText } from "node:util";
import type { Command } from "commander";
import { createFairlead } from "../client/create-fairlead.ts";
import type { Fairlead, FairleadOptions } from "../client/create-fairlead.ts";
import { findAuthority } from "./authority-file.ts";
import { wantsColours } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { findCredentials, renewKeyFile } from "./key-file.ts";
import { asFleetError, errorToJson, formatError } from "./output/error-text.ts";
import { formatJson, formatJsonLine } from "./output/json.ts";
import { createPaint } from "./output/paint.ts";
import type { Paint } from "./output/paint.ts";

/** Where the API listens unless somebody says otherwise. */
export const defaultApiServer = "https://127.0.0.1:7080";

/** Colours that tell things apart. */
export type Colour = "cyan" | "yellow" | "green" | "magenta" | "blue" | "red";

/** What every command that calls the API can be told. */
export interface ClientOptions {
  readonly server?: string;
  readonly ca?: string;
  readonly keyFile?: string;
  readonly json?: boolean;
}

/** One run of one command: its client of the API and its ways to speak. */
export class Invocation {
  readonly client: Fairlead;
  readonly environment: Environment;
  readonly json: boolean;
  readonly paint: Paint;
  readonly #access: FairleadOptions;
  #duplex: Fairlead | undefined;
  #failed = false;
  #exitCode = 0;

  /** Throws `INVALID_ARGUMENT` when the server's address is none, or a key file cannot be used. To be closed. */
  constructor(environment: Environment, options: ClientOptions) {
    const { server = defaultApiServer, apiKey, ca: known } = findCredentials(options, environment);
    const ca = findAuthority({ path: options.ca, known, server }, environment);
    this.environment = environment;
    this.json = options.json ?? false;
    this.paint = createPaint(wantsColours(environment));
    this.#access = {
      server,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(ca === undefined ? {} : { ca }),
      // What a person names is theirs; a key file keeps itself up to date.
      ...(known === undefined || ca !== known
        ? {}
        : { onSuccessor: (to) => this.#renew(options, known, to) }),
    };
    this.client = createFairlead(this.#access);
  }

  /** A client for calls that stream both ways, which need HTTP/2. */
  get duplex(): Fairlead {
    this.#duplex ??= createFairlead({ ...this.#access, protocol: "grpc" });
    return this.#duplex;
  }

  /** The signal for every call: it aborts when the person wants an end. */
  get call(): { readonly signal: AbortSignal } {
    return { signal: this.environment.signal };
  }

  /** Colours text, where colours are wanted, to tell things apart that mean the same. */
  colour(name: Colour, text: string): string {
    return wantsColours(this.environment) ? styleText(name, text, { validateStream: false }) : text;
  }

  /** The exit code that the process shall have: as `endWith` says, else 1 when something was reported with `fail`. */
  get exitCode(): number {
    return this.#exitCode === 0 && this.#failed ? 1 : this.#exitCode;
  }

  /** The line ends as something else did. */
  endWith(exitCode: number): void {
    this.#exitCode = exitCode;
  }

  /** Writes text that is escaped already. */
  print(text: string): void {
    this.environment.stdout.write(text);
  }

  /** Writes one JSON document. */
  printJson(value: unknown): void {
    this.print(formatJson(value));
  }

  /** Writes one JSON document on one line. */
  printJsonLine(value: unknown): void {
    this.print(formatJsonLine(value));
  }

  /** Says something to the person only, never to a program that reads along. The text is escaped already. */
  hint(text: string): void {
    if (this.environment.isErrorTTY && !this.json) {
      this.environment.stderr.write(`${text}\n`);
    }
  }

  /** Reports a failure; the command goes on, and its exit code becomes 1. */
  fail(error: unknown, subject?: string): void {
    this.#failed = true;
    writeError(this.environment, error, this.json, subject);
  }

  #renew(options: ClientOptions, from: string, to: string): void {
    this.hint(
      renewKeyFile(options, this.environment, { from, to })
        ? "The control plane has another certificate authority; the key file trusts it now."
        : "The control plane has another certificate authority, and the key file cannot be told; ask for a new one before the old authority is retired.",
    );
  }

  /** Closes the connections. */
  close(): void {
    this.client.close();
    this.#duplex?.close();
  }
}

/** Reports an error on standard error, for people or for programs. */
export function writeError(environment: Environment, error: unknown, json: boolean, subject?: string): void {
  const failure = asFleetError(error);
  environment.stderr.write(
    json ? formatJsonLine(errorToJson(failure, subject)) : formatError(failure, subject),
  );
}

/** Gives a command the options of every command that calls the API. */
export function addClientOptions(command: Command): Command {
  return command
    .option("--server <url>", `the control plane's API (env FAIRLEAD_SERVER, default ${defaultApiServer})`)
    .option(
      "--key-file <path>",
      "an API key, with its server (env FAIRLEAD_KEY_FILE, default the one in the data folder)",
    )
    .option("--ca <file>", "the certificate to trust it by, PEM (env FAIRLEAD_CA)")
    .option("--json", "print JSON: one document, or one a line for streams");
}

/** Runs a command's work; the arguments are those of the command line. Its exit code is the line's. */
export type Work<Options> = (
  invocation: Invocation,
  options: Options & ClientOptions,
  args: readonly string[],
) => Promise<void>;

/** The part of a command line that commands are added to. */
export interface CommandLine {
  readonly environment: Environment;
  /** How people call the program here, for lines to try. */
  readonly programName: string;
  /** Tells which exit code the process shall have. */
  setExitCode(code: number): void;
}

/** A commander action that does some work with a client, which is closed at the end. */
export function clientAction<Options>(line: CommandLine, work: Work<Options>) {
  return async (...parameters: unknown[]): Promise<void> => {
    const command = parameters.at(-1) as Command;
    const options = command.optsWithGlobals<Options & ClientOptions>();
    const invocation = new Invocation(line.environment, options);
    try {
      await work(invocation, options, command.args);
      line.setExitCode(invocation.exitCode);
    } finally {
      invocation.close();
    }
  };
}
