/** What a child process can be asked to do, by name. Parameters and answers are JSON. */
export type Methods = Readonly<Record<string, (parameters: never) => unknown>>;

/** One question of a parent. */
export interface Question {
  readonly id: number;
  readonly method: string;
  readonly parameters: unknown;
}

/** The answer to the question with this id; `error` when it failed. */
export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Answers the questions of the process that forked this one, and ends with it. */
export function answerParent(methods: Methods): void {
  process.on("disconnect", () => process.exit());
  // Ctrl-C reaches the whole group; the parent then says what is to be done.
  process.on("SIGINT", () => undefined);
  process.on("message", (question: Question) => void answer(question, methods));
}

async function answer({ id, method, parameters }: Question, methods: Methods): Promise<void> {
  try {
    const ask = methods[method];
    if (ask === undefined) throw new TypeError(`no method ${method}`);
    send({ id, value: await ask(parameters as never) });
  } catch (error) {
    send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

function send(answer: Answer): void {
  if (process.connected) process.send?.(answer);
}
