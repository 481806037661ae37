/** A page of a list, as every List call answers it. */
export interface Page {
  readonly nextPageToken: string;
}

/** The largest page that the API gives. */
export const largestPage = 1_000;

/** All pages of a list, one after the other. Whoever has enough may stop. */
export async function* allPages<Answer extends Page>(
  fetch: (pageToken: string) => Promise<Answer>,
): AsyncGenerator<Answer, void> {
  let pageToken = "";
  do {
    const page = await fetch(pageToken);
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}

/** The first `limit` items of a list, over all its pages. */
export async function collectItems<Answer extends Page, Item>(
  fetch: (pageToken: string) => Promise<Answer>,
  itemsOf: (page: Answer) => readonly Item[],
  limit = Number.POSITIVE_INFINITY,
): Promise<Item[]> {
  const items: Item[] = [];
  for await (const page of allPages(fetch)) {
    items.push(...itemsOf(page));
    if (items.length >= limit) {
      break;
    }
  }
  return limit < items.length ? items.slice(0, limit) : items;
}
