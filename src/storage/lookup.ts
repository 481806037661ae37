/**
 * Whether any row can hold these texts. None holds a NUL, which PostgreSQL cannot store and which would end the text
 * of a statement; so whoever looks for one finds nothing.
 */
export function canBeStored(...texts: readonly (string | undefined)[]): boolean {
  return !texts.some((text) => text?.includes("\0"));
}

/** A place in a list that begins with what was created last. */
export interface CreationPlace {
  readonly createTime: number;
  readonly id: string;
}

/** The order of such a list. */
export const newestFirst = { createTime: "desc", id: "desc" } as const;

/** What comes after a place in it; everything without one. */
export function createdBefore(place: CreationPlace | undefined) {
  if (place === undefined) return {};
  const { createTime, id } = place;
  return { $or: [{ createTime: { $lt: createTime } }, { createTime, id: { $lt: id } }] };
}
