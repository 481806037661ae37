import { toBinary } from "@bufbuild/protobuf";
import type { DescExtension, DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/**
 * What a server can tell about its schema: the files of its services with all that they import. Answers are
 * undefined for what is not there.
 */
export class ReflectedFiles {
  readonly #files = new Map<string, DescFile>();
  readonly #fileOfSymbol = new Map<string, DescFile>();
  readonly #extensions = new Map<string, Map<number, DescExtension>>();
  readonly #messages = new Map<string, DescMessage>();

  constructor(services: Iterable<DescService>) {
    for (const service of services) this.#add(service.file);
  }

  /** The file of that name, and all that it imports, each encoded as `google.protobuf.FileDescriptorProto`. */
  byName(name: string): Uint8Array[] | undefined {
    return encodedWithImports(this.#files.get(withProtoSuffix(name)) ?? this.#files.get(name));
  }

  /** The file that declares a message, enum, enum value, field, oneof, extension, service or method, by full name. */
  bySymbol(symbol: string): Uint8Array[] | undefined {
    return encodedWithImports(this.#fileOfSymbol.get(symbol.replace(/^\./, "")));
  }

  /** The file that declares an extension of a message. */
  byExtension(extendee: string, number: number): Uint8Array[] | undefined {
    return encodedWithImports(this.#extensions.get(extendee.replace(/^\./, ""))?.get(number)?.file);
  }

  /** The numbers of all extensions of a message; none when it is a message without any. */
  extensionNumbers(extendee: string): number[] | undefined {
    const name = extendee.replace(/^\./, "");
    const numbers = this.#extensions.get(name)?.keys();
    if (numbers !== undefined) return [...numbers].toSorted((one, other) => one - other);
    return this.#messages.has(name) ? [] : undefined;
  }

  #add(file: DescFile): void {
    const name = file.proto.name;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const type of nestedTypes(file)) {
      this.#fileOfSymbol.set(type.typeName, file);
      for (const member of membersOf(type)) this.#fileOfSymbol.set(member, file);
      if (type.kind === "extension") this.#addExtension(type);
      if (type.kind === "message") this.#messages.set(type.typeName, type);
    }
    for (const dependency of file.dependencies) this.#add(dependency);
  }

  #addExtension(extension: DescExtension): void {
    const extendee = extension.extendee.typeName;
    const known = this.#extensions.get(extendee) ?? new Map<number, DescExtension>();
    this.#extensions.set(extendee, known.set(extension.number, extension));
  }
}

type NestedType = ReturnType<typeof nestedTypes> extends Iterable<infer Type> ? Type : never;

function membersOf(type: NestedType): string[] {
  switch (type.kind) {
    case "message":
      return [...type.fields, ...type.oneofs].map(({ name }) => `${type.typeName}.${name}`);
    case "enum": {
      // The values of an enum are its siblings, not its children.
      const scope = type.typeName.slice(0, -type.name.length);
      return type.values.map(({ name }) => `${scope}${name}`);
    }
    case "service":
      return type.methods.map(({ name }) => `${type.typeName}.${name}`);
    case "extension":
      return [];
  }
}

function withProtoSuffix(name: string): string {
  return name.endsWith(".proto") ? name : `${name}.proto`;
}

function encodedWithImports(file: DescFile | undefined): Uint8Array[] | undefined {
  if (file === undefined) return undefined;
  const found = new Map<string, DescFile>();
  const collect = (one: DescFile): void => {
    if (found.has(one.proto.name)) return;
    found.set(one.proto.name, one);
    one.dependencies.forEach(collect);
  };
  collect(file);
  return [...found.values()].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
}
