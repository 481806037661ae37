import { type RestartPolicy, RestartPolicy_Mode } from "../../gen/fairlead/container/v1/container_spec_pb.js";

const names: Readonly<Record<number, string>> = {
  [RestartPolicy_Mode.ALWAYS]: "always",
  [RestartPolicy_Mode.UNLESS_STOPPED]: "unless-stopped",
  [RestartPolicy_Mode.ON_FAILURE]: "on-failure",
};

/** Docker's word for a rule, "no" where there is none. */
export function restartPolicyName({ mode }: Pick<RestartPolicy, "mode">): string {
  return names[mode] ?? "no";
}

/** How often at most; 0 where the rule has no such number, because Docker refuses one with any other rule. */
export function restartRetries({ mode, maxRetries }: Pick<RestartPolicy, "mode" | "maxRetries">): number {
  return mode === RestartPolicy_Mode.ON_FAILURE ? maxRetries : 0;
}

/** A rule as `Container.restart_policy` has it: "on-failure:3", "always", or nothing for never. */
export function restartPolicyText(name: string, retries: number): string {
  if (name === "no") return "";
  return name === "on-failure" && retries > 0 ? `${name}:${retries}` : name;
}
