import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import { PortBinding_Protocol } from "../../gen/fairlead/container/v1/container_spec_pb.js";

import { floodLabel, floodLineLabel } from "./simulated-flood.ts";

const roles = [
  { name: "web", image: "nginx:1.29", port: 80 },
  { name: "api", image: "node:24", port: 3000 },
  { name: "cache", image: "redis:8", port: undefined },
  { name: "database", image: "postgres:17", port: undefined },
] as const;

/** So that there is something to read in their logs. It costs nothing while nobody does. */
const aLineASecond = { [floodLabel]: "32", [floodLineLabel]: "32" };

/** One container in so many is there but does not run. */
const idleEvery = 5;

/** A container that a simulated engine has from its beginning. */
export interface SimulatedInhabitant {
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly running: boolean;
}

/** So many containers that a small company could have. */
export function inventPopulation(count: number): SimulatedInhabitant[] {
  return Array.from({ length: count }, (_, index) => {
    const role = roles[index % roles.length] ?? roles[0];
    return {
      name: `${role.name}-${Math.floor(index / roles.length) + 1}`,
      spec: specOfRole(role),
      running: (index + 1) % idleEvery !== 0,
    };
  });
}

function specOfRole({ name, image, port }: (typeof roles)[number]): ContainerSpec {
  return {
    ...plainSpec,
    image,
    labels: { "com.example.role": name, ...aLineASecond },
    ports:
      port === undefined
        ? []
        : [
            {
              $typeName: "fairlead.container.v1.PortBinding",
              containerPort: port,
              hostPort: 0,
              hostIp: "",
              protocol: PortBinding_Protocol.TCP,
            },
          ],
  };
}

/** A container that is in everything as its image says. */
const plainSpec: ContainerSpec = {
  $typeName: "fairlead.container.v1.ContainerSpec",
  image: "",
  command: [],
  entrypoint: [],
  environment: {},
  ports: [],
  mounts: [],
  networks: [],
  labels: {},
  hostname: "",
  user: "",
  workingDirectory: "",
  tty: false,
  stdinOpen: false,
  autoRemove: false,
  init: false,
  stopSignal: "",
  readOnly: false,
  privileged: false,
};
