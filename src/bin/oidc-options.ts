import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import type { OidcConfig } from "../control-plane/access/oidc.ts";

/** Whose tokens are taken beside API keys, as it was asked for. */
export interface OidcOptions {
  readonly oidcIssuer?: string;
  readonly oidcAudience?: string;
  readonly oidcRolesClaim?: string;
}

/** Gives a command the settings of an OpenID Connect issuer. */
export function addOidcOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--oidc-issuer <url>", "take the tokens of this OpenID Connect issuer beside API keys").env(
        "FAIRLEAD_OIDC_ISSUER",
      ),
    )
    .addOption(
      new Option("--oidc-audience <name>", "whom its tokens must be for").env("FAIRLEAD_OIDC_AUDIENCE"),
    )
    .addOption(
      new Option(
        "--oidc-roles-claim <claim>",
        'the claim that has "fairlead:viewer", "fairlead:operator" or "fairlead:admin" (default "roles")',
      ).env("FAIRLEAD_OIDC_ROLES_CLAIM"),
    );
}

/** The issuer that a control plane is to trust. Throws `InvalidArgumentError` for settings that do not go together. */
export function oidcConfigFrom({
  oidcIssuer: issuer,
  oidcAudience: audience,
  oidcRolesClaim: rolesClaim,
}: OidcOptions): OidcConfig | undefined {
  if (issuer === undefined && audience === undefined && rolesClaim === undefined) return undefined;
  if (issuer === undefined || audience === undefined) {
    throw new InvalidArgumentError("--oidc-issuer and --oidc-audience go together.");
  }
  return { issuer, audience, ...(rolesClaim === undefined ? {} : { rolesClaim }) };
}
