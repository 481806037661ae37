import { createHash } from "node:crypto";
import { failureFromAnswer } from "./docker-errors.ts";

/** An image of the simulated engine. */
export interface SimulatedImage {
  readonly id: string;
  /** What runs when the container says nothing else. May be empty. */
  readonly command: readonly string[];
  readonly exposedPorts: readonly number[];
}

const builtIn: Readonly<Record<string, Omit<SimulatedImage, "id">>> = {
  "alpine:3.22": { command: ["/bin/sh"], exposedPorts: [] },
  "busybox:latest": { command: ["sh"], exposedPorts: [] },
  "fairlead-test/busybox:latest": { command: [], exposedPorts: [] },
  "nginx:1.29": { command: ["nginx", "-g", "daemon off;"], exposedPorts: [80] },
  "node:24": { command: ["node", "server.js"], exposedPorts: [3000] },
  "postgres:17": { command: ["postgres"], exposedPorts: [5432] },
  "redis:8": { command: ["redis-server"], exposedPorts: [6379] },
};

/** The images that a simulated engine has: a few built in, and those it is told of. */
export class SimulatedImages {
  readonly #images = new Map<string, SimulatedImage>();

  /** Each of the additional ones runs a server. */
  constructor(additional: readonly string[] = []) {
    for (const name of additional) {
      this.#add(name, { command: ["/app/server"], exposedPorts: [] });
    }
    for (const [name, image] of Object.entries(builtIn)) {
      this.#add(name, image);
    }
  }

  /** By name, with or without its tag, or by id. Throws `IMAGE_NOT_FOUND` in Docker's words. */
  find(reference: string): SimulatedImage {
    const name = withTag(reference);
    const byId = [...this.#images.values()].find(({ id }) => id === reference);
    const image = this.#images.get(name) ?? byId;
    if (image === undefined) {
      throw failureFromAnswer(404, `No such image: ${name}`);
    }
    return image;
  }

  #add(name: string, image: Omit<SimulatedImage, "id">): void {
    const tagged = withTag(name);
    const id = `sha256:${createHash("sha256").update(tagged).digest("hex")}`;
    this.#images.set(tagged, { id, ...image });
  }
}

function withTag(reference: string): string {
  return reference.includes("@") || /^sha256:|:[^/]+$/.test(reference) ? reference : `${reference}:latest`;
}
