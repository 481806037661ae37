import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { FleetError } from "../../domain/errors.ts";
import { messageDigest } from "./canonical-digest.ts";

/** What every request for a page has. */
export interface PageRequest {
  /** 0: the default. */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

/** Some items of a list, and the token for those after them; empty when there are none. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextPageToken: string;
}

/** How a list is read page by page: by where its items stand, not by how many came before them. */
export interface PagedList<Item, Position> {
  /** The fields of a position, which travels in the page token. */
  readonly fields: { readonly [Field in keyof Position]: "string" | "number" };
  /** Where an item stands. */
  position(item: Item): Position;
  /** The items after a position, at most `limit`. */
  read(after: Position | undefined, limit: number): readonly Item[] | Promise<readonly Item[]>;
}

const defaultPageSize = 100;

/**
 * Reads the page that a request asks for. Its token is opaque to callers and bound to the rest of the request, so that
 * it cannot be used with other filters. Rejects with `INVALID_PAGE_TOKEN`.
 */
export async function readPage<Desc extends DescMessage, Item, Position>(
  schema: Desc,
  request: MessageShape<Desc> & PageRequest,
  list: PagedList<Item, Position>,
): Promise<Page<Item>> {
  const filters = filterDigest(schema, request);
  const after = request.pageToken === "" ? undefined : decode(request.pageToken, filters, list.fields);
  const pageSize = request.pageSize === 0 ? defaultPageSize : request.pageSize;
  const found = await list.read(after, pageSize + 1);
  const items = found.slice(0, pageSize);
  const last = items.at(-1);
  const hasMore = found.length > pageSize && last !== undefined;
  return { items, nextPageToken: hasMore ? encode(list.position(last), filters) : "" };
}

function filterDigest<Desc extends DescMessage>(schema: Desc, request: MessageShape<Desc>): string {
  const filters = { ...request, pageSize: 0, pageToken: "" };
  return messageDigest(schema, filters).subarray(0, 9).toString("base64url");
}

function encode<Position>(position: Position, filters: string): string {
  return Buffer.from(JSON.stringify([filters, position])).toString("base64url");
}

function decode<Position>(
  pageToken: string,
  filters: string,
  fields: PagedList<unknown, Position>["fields"],
): Position {
  const [boundTo, position] = parse(pageToken);
  if (!isPosition(position, fields)) {
    throw invalid("it is not one that this list gave out");
  }
  if (boundTo !== filters) {
    throw invalid("it belongs to a list with other filters");
  }
  return position;
}

function parse(pageToken: string): readonly unknown[] {
  try {
    const content: unknown = JSON.parse(Buffer.from(pageToken, "base64url").toString());
    return Array.isArray(content) ? content : [];
  } catch {
    return [];
  }
}

function isPosition<Position>(
  value: unknown,
  fields: PagedList<unknown, Position>["fields"],
): value is Position {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const content = value as Readonly<Record<string, unknown>>;
  return Object.entries(fields).every(([field, type]) => typeof content[field] === type);
}

function invalid(why: string): FleetError {
  return new FleetError(
    "INVALID_PAGE_TOKEN",
    `the page token is not valid: ${why}; begin with the first page`,
    {
      violations: [{ field: "page_token", description: why }],
    },
  );
}
