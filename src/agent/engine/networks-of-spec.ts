import { FleetError } from "../../domain/errors.ts";

/** Throws `INVALID_ARGUMENT` when a network stands beside "host" or "none", which stand alone, or is named twice. */
export function checkNetworks(networks: readonly string[]): void {
  const alone = networks.find((network) => network === "host" || network === "none");
  if (alone !== undefined && networks.length > 1) {
    throw invalidNetworks(`the network "${alone}" cannot be combined with others`);
  }
  const repeated = networks.find((network, index) => networks.indexOf(network) !== index);
  if (repeated !== undefined) {
    throw invalidNetworks(`the network "${repeated}" is named twice`);
  }
}

/** The error for a network that the engine does not have, in the engine's words. */
export function unknownNetwork(words: string): FleetError {
  return invalidNetworks(words);
}

function invalidNetworks(description: string): FleetError {
  return new FleetError("INVALID_ARGUMENT", description, {
    violations: [{ field: "spec.networks", description }],
  });
}
