/**
 * Whether any row can hold these texts. None holds a NUL, which PostgreSQL cannot store and which would end the text
 * of a statement; so whoever looks for one finds nothing.
 */
export function canBeStored(...texts: readonly (string | undefined)[]): boolean {
  return !texts.some((text) => text?.includes("\0"));
}
