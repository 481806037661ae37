import type { ModuleImport, SourceModule } from "./source-modules.ts";

/** Says what is wrong, one line for each fault, each beginning with the path of the file. Empty when all is well. */
export type HouseRule = (modules: readonly SourceModule[]) => string[];

/**
 * Which part may import which, by values. A part is a folder below `src/`; a file belongs to the longest part that
 * is a prefix of its path, and may always import its own part. A folder that is missing here has no place yet:
 * give it one.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "src/bin": ["src/control-plane", "src/agent", "src/agent/engine", "src/agent/doctor", "src/cli"],
  "src/index.ts": [
    "src/client",
    "src/control-plane",
    "src/agent",
    "src/agent/engine",
    "src/rpc",
    "src/resilience",
    "src/domain",
    "src/gen",
  ],
  "src/client": ["src/rpc", "src/resilience", "src/domain", "src/gen"],
  "src/domain": [],
  "src/disk": ["src/domain"],
  "src/resilience": [],
  "src/rpc": ["src/resilience", "src/domain", "src/gen"],
  "src/storage": ["src/domain"],
  "src/cli": ["src/client", "src/rpc", "src/resilience", "src/domain", "src/gen"],
  ...insideOf(
    "src/control-plane",
    ["src/storage", "src/disk", "src/rpc", "src/resilience", "src/domain", "src/gen"],
    {
      config: [],
      certificates: ["config"],
      metrics: [],
      upkeep: [],
      events: ["config"],
      access: ["config", "events"],
      enrolment: ["config", "events"],
      inventory: ["config", "events"],
      session: ["config", "events", "enrolment", "inventory"],
      dispatch: ["config", "events", "session"],
      streams: ["config", "enrolment", "session", "dispatch"],
      services: ["config", "events", "access", "enrolment", "inventory", "session", "dispatch", "streams"],
    },
  ),
  ...insideOf("src/agent", ["src/disk", "src/rpc", "src/resilience", "src/domain", "src/gen"], {
    config: [],
    identity: ["config"],
    engine: ["config"],
    inventory: ["config", "engine"],
    streams: ["config", "identity"],
    execution: ["config", "identity", "engine", "inventory", "streams"],
    session: ["config", "identity", "engine", "inventory", "streams", "execution"],
    doctor: ["config", "identity", "session"],
  }),
};

const partsLongestFirst = Object.keys(mayImport).toSorted((one, other) => other.length - one.length);

/** Value imports follow the table of who may import whom. */
export const layers: HouseRule = (modules) =>
  modules.filter(isSource).flatMap((module) => {
    const part = partOf(module.path);
    if (part === undefined) {
      return [`${module.path}: is in no part of the house`];
    }
    const allowed = new Set([part, ...(mayImport[part] ?? [])]);
    return ownTargets(module)
      .filter(({ target }) => !allowed.has(partOf(target) ?? ""))
      .map(({ target }) => `${module.path}: imports ${target}, which ${part} may not`);
  });

/** The two processes know nothing of each other, not even types. */
export const processesApart: HouseRule = (modules) => {
  const sides = ["src/agent/", "src/control-plane/"];
  return modules.flatMap((module) => {
    const others = sides.filter((side) => !module.path.startsWith(side));
    return others.length === sides.length
      ? []
      : module.imports
          .filter(({ target }) => others.some((side) => target?.startsWith(side)))
          .map(({ target }) => `${module.path}: imports ${target}, a file of the other process`);
  });
};

/** No value import leads back to where it came from. */
export const noCycles: HouseRule = (modules) => {
  const targets = new Map(
    modules.map((module) => [module.path, ownTargets(module).map(({ target }) => target)]),
  );
  const finished = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
    } else if (!finished.has(path)) {
      for (const target of targets.get(path) ?? []) {
        visit(target, [...trail, path]);
      }
      finished.add(path);
    }
  };
  for (const path of targets.keys()) {
    visit(path, []);
  }
  return found;
};

/** Only `bin` reads the environment and the arguments. */
export const environmentInBin: HouseRule = (modules) => {
  const secret = new Set(["env", "argv", "*"]);
  return modules.filter(isSource).flatMap((module) => {
    const imported = module.imports
      .filter(({ specifier }) => specifier === "node:process" || specifier === "process")
      .flatMap(({ names }) => names);
    const read = [...module.processMembers, ...imported].filter((name) => secret.has(name));
    return module.path.startsWith("src/bin/")
      ? []
      : read.map((name) => `${module.path}: reads process.${name}, which only src/bin may`);
  });
};

/** Docker, the database and the metrics library are each known in one folder. */
export const packagesInTheirFolder: HouseRule = (modules) => {
  const homes = [
    { package: /^dockerode(\/|$)/, home: "src/agent/engine/" },
    { package: /^@mikro-orm\//, home: "src/storage/" },
    { package: /^prom-client(\/|$)/, home: "src/control-plane/metrics/" },
  ];
  return modules.filter(isSource).flatMap((module) =>
    homes
      .filter(({ home }) => !module.path.startsWith(home))
      .flatMap((owner) => module.imports.filter(({ specifier }) => owner.package.test(specifier)))
      .map(({ specifier }) => `${module.path}: imports ${specifier}, which has a folder of its own`),
  );
};

/** Only `rpc` and the services know status codes. */
export const statusCodes: HouseRule = (modules) =>
  modules
    .filter(isSource)
    .filter(({ path }) => !path.startsWith("src/rpc/") && !path.startsWith("src/control-plane/services/"))
    .flatMap((module) =>
      module.imports
        .filter(namesStatusCodes)
        .map(({ specifier }) => `${module.path}: imports status codes from ${specifier}`),
    );

/** Generated messages are built where messages are made or read; elsewhere only their types and enums are known. */
export const generatedValues: HouseRule = (modules) => {
  const allowed = /^src\/(rpc\/|client\/|cli\/|index\.ts$|(.+\/)?(services|session|operations)\/)/;
  return modules
    .filter(({ path }) => isSource({ path }) && !allowed.test(path))
    .flatMap((module) =>
      module.imports
        .filter(({ specifier, names, typeOnly }) => {
          return !typeOnly && specifier === "@bufbuild/protobuf" && names.includes("create");
        })
        .map(() => `${module.path}: builds generated messages, where they may only be known`),
    );
};

/** Named exports only. */
export const noDefaultExports: HouseRule = (modules) =>
  modules.filter((module) => module.hasDefaultExport).map(({ path }) => `${path}: has a default export`);

/** Files of a size that can be read at once. */
export const fileSize: HouseRule = (modules) =>
  modules
    .filter(({ lineCount }) => lineCount > 400)
    .map(({ path, lineCount }) => `${path}: has ${lineCount} lines, 400 are the most`);

/** Names that say something, and no file that only passes on what others have. */
export const noCatchAlls: HouseRule = (modules) =>
  modules.flatMap(({ path, isBarrel }) => {
    const isCatchAll = path.split("/").some((name) => /^(utils?|helpers?|common|misc)(\.|$)/.test(name));
    const isUndecidedEdge = path !== "src/index.ts" && (isBarrel || path.endsWith("/index.ts"));
    return [
      ...(isCatchAll ? [`${path}: has a name that says nothing`] : []),
      ...(isUndecidedEdge ? [`${path}: is a barrel`] : []),
    ];
  });

function insideOf(
  root: string,
  outside: readonly string[],
  inside: Readonly<Record<string, readonly string[]>>,
): Record<string, readonly string[]> {
  const within = (name: string) => `${root}/${name}`;
  const parts: Record<string, readonly string[]> = {
    [root]: [...Object.keys(inside).map(within), ...outside],
  };
  for (const [name, targets] of Object.entries(inside)) {
    parts[within(name)] = [...targets.map(within), ...outside];
  }
  return parts;
}

function partOf(path: string): string | undefined {
  if (path.startsWith("src/gen/")) {
    return "src/gen";
  }
  return partsLongestFirst.find((part) => belongsTo(path, part));
}

// The root of a process is its files, not its folders: a folder nobody gave a place is found out. A part of one file
// is written like a folder of one, `config.ts` beside `config/`.
function belongsTo(path: string, part: string): boolean {
  if (path === part || path === `${part}.ts`) {
    return true;
  }
  const hasFolders = part === "src/control-plane" || part === "src/agent";
  return path.startsWith(`${part}/`) && !(hasFolders && path.slice(part.length + 1).includes("/"));
}

function isSource({ path }: { readonly path: string }): boolean {
  return path.startsWith("src/");
}

function ownTargets(module: SourceModule): { readonly target: string }[] {
  return module.imports.flatMap(({ target, typeOnly }) =>
    target === undefined || typeOnly ? [] : [{ target }],
  );
}

function namesStatusCodes({ specifier, target, names }: ModuleImport): boolean {
  const takes = (name: string) => names.includes(name) || names.includes("*");
  return (
    (specifier.startsWith("@connectrpc/connect") && takes("Code")) ||
    (specifier === "@grpc/grpc-js" && takes("status")) ||
    (target === "src/gen/google/rpc/code_pb.js" && takes("Code"))
  );
}
