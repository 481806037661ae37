import { globSync, readFileSync } from "node:fs";
import { posix, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type ImportDeclarationSpecifier, parseSync, Visitor } from "oxc-parser";

/** One `import`, `export … from`, `import()` or `import("…").Type` of a module. */
export interface ModuleImport {
  /** As written, such as `node:fs` or `../domain/errors.ts`. */
  readonly specifier: string;
  /** What a relative specifier points at, from the root of the project. Absent for a package. */
  readonly target?: string;
  /** Erased before it runs. An `import { type X }` is not: its module is loaded all the same. */
  readonly typeOnly: boolean;
  /** The imported names; `*` for all of them. */
  readonly names: readonly string[];
}

/** What the rules of the house need to know about one file. */
export interface SourceModule {
  /** From the root of the project, with `/`. */
  readonly path: string;
  readonly lineCount: number;
  readonly imports: readonly ModuleImport[];
  readonly hasDefaultExport: boolean;
  /** It re-exports and does nothing else. */
  readonly isBarrel: boolean;
  /** Members of `process` that it reads, such as `env`. */
  readonly processMembers: readonly string[];
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Reads our own TypeScript in the folders named, generated code aside. */
export function readSourceModules(...folders: string[]): SourceModule[] {
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }))
    .map((path) => path.replaceAll(sep, "/"))
    .filter((path) => !path.startsWith("src/gen/"))
    .toSorted()
    .map((path) => parseSourceModule(path, readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")));
}

/** Throws when the text is not TypeScript. */
export function parseSourceModule(path: string, text: string): SourceModule {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) {
    throw new Error(`${path}: ${errors.map((error) => error.message).join("; ")}`);
  }
  const found: Findings = { imports: [], processMembers: [], hasDefaultExport: false };
  importVisitor(path, found).visit(program);
  memberVisitor(found).visit(program);
  return {
    path,
    lineCount: text.trimEnd().split("\n").length,
    isBarrel: program.body.length > 0 && program.body.every(isReExport),
    ...found,
  };
}

interface Findings {
  readonly imports: ModuleImport[];
  readonly processMembers: string[];
  hasDefaultExport: boolean;
}

function importVisitor(path: string, found: Findings): Visitor {
  const add = (source: unknown, kind: string | undefined, names: string[]) => {
    const specifier = stringValue(source);
    const isOwn = specifier.startsWith(".");
    const target = isOwn ? { target: posix.join(posix.dirname(path), specifier) } : undefined;
    found.imports.push({ specifier, ...target, typeOnly: kind === "type", names });
  };
  return new Visitor({
    ImportDeclaration(node) {
      add(node.source, node.importKind, node.specifiers.map(importedName));
    },
    ExportNamedDeclaration(node) {
      if (node.source) {
        const names = node.specifiers.map((one) => nameOf(one.local));
        add(node.source, node.exportKind, names);
      }
      found.hasDefaultExport ||= node.specifiers.some((one) => nameOf(one.exported) === "default");
    },
    ExportAllDeclaration(node) {
      add(node.source, node.exportKind, ["*"]);
    },
    ExportDefaultDeclaration() {
      found.hasDefaultExport = true;
    },
    ImportExpression(node) {
      add(node.source, "value", ["*"]);
    },
    TSImportType(node) {
      add(node.source, "type", ["*"]);
    },
  });
}

function memberVisitor({ processMembers }: Findings): Visitor {
  return new Visitor({
    MemberExpression(node) {
      if (isProcess(node.object)) {
        processMembers.push(nameOf(node.property));
      }
    },
    VariableDeclarator(node) {
      if (node.init && isProcess(node.init) && node.id.type === "ObjectPattern") {
        processMembers.push(...node.id.properties.map((one) => ("key" in one ? nameOf(one.key) : "*")));
      }
    },
  });
}

function importedName(node: ImportDeclarationSpecifier): string {
  switch (node.type) {
    case "ImportSpecifier":
      return nameOf(node.imported);
    case "ImportDefaultSpecifier":
      return "default";
    case "ImportNamespaceSpecifier":
      return "*";
  }
}

function isReExport(node: { readonly type: string; readonly source?: unknown }): boolean {
  const isExport = node.type === "ExportAllDeclaration" || node.type === "ExportNamedDeclaration";
  return isExport && Boolean(node.source);
}

function isProcess(node: { readonly type: string; readonly name?: unknown }): boolean {
  return node.type === "Identifier" && node.name === "process";
}

function nameOf(node: { readonly type: string; readonly name?: unknown; readonly value?: unknown }): string {
  return typeof node.name === "string" ? node.name : stringValue(node);
}

// A computed name says nothing that a rule could trust, so it counts as any name.
function stringValue(node: unknown): string {
  const value = typeof node === "object" && node !== null && "value" in node ? node.value : undefined;
  return typeof value === "string" ? value : "*";
}
