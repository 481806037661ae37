import type { EngineContainer } from "./engine.ts";

/**
 * Makes a container fit the bounds of the schema, so that an odd one is told with less detail instead of being refused by
 * the control plane: what is for people is cut, what is for programs and too long is left out.
 */
export function withinBounds(container: EngineContainer): EngineContainer {
  return {
    ...container,
    name: cut(container.name, 255),
    image: cut(container.image ?? "", 512),
    imageId: cut(container.imageId ?? "", 128),
    command: cut(container.command ?? "", 1024),
    exitCode: (container.exitCode ?? 0) | 0,
    restartCount: Math.max(0, container.restartCount ?? 0),
    restartPolicy: cut(container.restartPolicy ?? "", 64),
    ports: (container.ports ?? []).slice(0, 1024),
    labels: Object.fromEntries(
      Object.entries(container.labels ?? {})
        .filter(([key, value]) => fits(key, 512) && fits(value, 8192))
        .toSorted(([one], [other]) => Number(isOurs(other)) - Number(isOurs(one)))
        .slice(0, 512),
    ),
    mounts: (container.mounts ?? [])
      .filter(({ source = "", target = "" }) => fits(source, 4096) && fits(target, 4096))
      .slice(0, 512),
    networks: (container.networks ?? []).filter(({ name = "" }) => fits(name, 255)).slice(0, 256),
  } as EngineContainer;
}

// Where some must be left out, those that say what may be done to the container stay.
function isOurs(label: string): boolean {
  return label.startsWith("dev.fairlead.");
}

/** Counts as the schema does, in code points, and never leaves half a character. */
export function cut(text: string, characters: number): string {
  const sound = text.toWellFormed();
  return fits(sound, characters)
    ? sound
    : Array.from(sound.slice(0, 2 * characters))
        .slice(0, characters)
        .join("");
}

function fits(text: string, characters: number): boolean {
  return text.length <= characters || (text.length <= 2 * characters && [...text].length <= characters);
}
