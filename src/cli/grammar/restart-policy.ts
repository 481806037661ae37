import { InvalidArgumentError } from "commander";
import { RestartPolicy_Mode } from "../../gen/fairlead/container/v1/container_spec_pb.js";

/** When the engine starts a container again, as `RestartPolicy` has it. */
export interface RequestedRestartPolicy {
  readonly mode: RestartPolicy_Mode;
  readonly maxRetries: number;
}

const modes = new Map([
  ["no", RestartPolicy_Mode.NO],
  ["always", RestartPolicy_Mode.ALWAYS],
  ["unless-stopped", RestartPolicy_Mode.UNLESS_STOPPED],
  ["on-failure", RestartPolicy_Mode.ON_FAILURE],
]);

/** Docker's --restart: no, always, unless-stopped, on-failure or on-failure:5. Throws `InvalidArgumentError`. */
export function parseRestartPolicy(text: string): RequestedRestartPolicy {
  const [, word = "", retries = "0"] = /^([a-z-]+)(?::(\d{1,6}))?$/.exec(text) ?? [];
  const mode = modes.get(word);
  if (mode === undefined || (mode !== RestartPolicy_Mode.ON_FAILURE && text.includes(":"))) {
    throw new InvalidArgumentError("Write no, always, unless-stopped, on-failure or on-failure:<times>.");
  }
  return { mode, maxRetries: Number(retries) };
}
