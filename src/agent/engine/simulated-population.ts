import { create } from "@bufbuild/protobuf";
import {
  type ContainerSpec,
  ContainerSpecSchema,
} from "../../gen/fairlead/container/v1/container_spec_pb.js";

const roles = [
  { name: "web", image: "nginx:1.29", ports: [{ containerPort: 80 }] },
  { name: "api", image: "node:24", ports: [{ containerPort: 3000 }] },
  { name: "cache", image: "redis:8", ports: [] },
  { name: "database", image: "postgres:17", ports: [] },
];

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
    const role = roles[index % roles.length] ?? { name: "web", image: "nginx:1.29", ports: [] };
    return {
      name: `${role.name}-${Math.floor(index / roles.length) + 1}`,
      spec: create(ContainerSpecSchema, {
        image: role.image,
        ports: role.ports,
        labels: { "com.example.role": role.name },
      }),
      running: (index + 1) % idleEvery !== 0,
    };
  });
}
