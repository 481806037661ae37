/** How each end is told, always in the order of the items. */
export interface OrderedReport<Answer> {
  onAnswer(answer: Answer, index: number): void;
  onFailure(error: unknown, index: number): void;
}

/** How many containers of one command line are acted on at once. */
const mostAtOnce = 16;

/** Works on all items, some at once; tells of each end in the order of the items, and returns the good ones. */
export async function settleInOrder<Item, Answer>(
  items: readonly Item[],
  work: (item: Item) => Promise<Answer>,
  report: OrderedReport<Answer>,
  atOnce = mostAtOnce,
): Promise<Answer[]> {
  const ends = items.map((item) => ({ item, ...Promise.withResolvers<Answer>() }));
  const queue = ends.values();
  const worker = async () => {
    for (const { item, promise, resolve } of queue) {
      resolve(work(item));
      await promise.catch(() => "is told below");
    }
  };
  const workers = Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  const answers: Answer[] = [];
  for (const [index, { promise }] of ends.entries()) {
    try {
      const answer = await promise;
      answers.push(answer);
      report.onAnswer(answer, index);
    } catch (error) {
      report.onFailure(error, index);
    }
  }
  await workers;
  return answers;
}
