import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PathFactsSchema } from "../../gen/fairlead/container/v1/path_facts_pb.js";

/** What is at a path in a container. */
export type EnginePathFacts = MessageInitShape<typeof PathFactsSchema>;

/** Files of a container, as a tar archive. */
export interface EngineArchive {
  readonly facts: EnginePathFacts;
  /**
   * The archive, to be read once. Not reading stops the reading of the socket; leaving the loop frees it. Throws `ENGINE_UNAVAILABLE` when the
   * engine goes away, and `ENGINE_FAILED` when the archive has no end.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** How an archive is unpacked. */
export interface UnpackOptions {
  /** As `docker cp --archive` asks for it. */
  readonly copyOwners: boolean;
  /** A folder may take the place of a file, and a file that of a folder. */
  readonly allowOverwriteKind: boolean;
}
