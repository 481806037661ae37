import assert from "node:assert/strict";
import { withHeartbeats } from "../../../src/control-plane/services/heartbeats.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const everyMs = 15_000;

/** A source that gives what it is given, and can be left. */
class Source implements AsyncIterator<string>, AsyncIterable<string> {
  readonly #asked: PromiseWithResolvers<IteratorResult<string>>[] = [];
  isLeft = false;

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<string>> {
    const asked = Promise.withResolvers<IteratorResult<string>>();
    this.#asked.push(asked);
    return asked.promise;
  }

  async return(): Promise<IteratorResult<string>> {
    this.isLeft = true;
    return { done: true, value: undefined };
  }

  give(value: string): void {
    this.#asked.shift()?.resolve({ done: false, value });
  }

  fail(error: Error): void {
    this.#asked.shift()?.reject(error);
  }

  /** How many have asked and got nothing. */
  get asked(): number {
    return this.#asked.length;
  }
}

/** What has come of a read by now. */
function watched(read: Promise<IteratorResult<string | undefined, void>>) {
  const seen: { value?: string | undefined; came: boolean } = { came: false };
  void read.then(({ value }) => Object.assign(seen, { value: value ?? undefined, came: true }));
  return seen;
}

describe("heartbeats", () => {
  let clock: FakeClock;
  let source: Source;
  let stream: ReturnType<typeof withHeartbeats<string>>;

  beforeEach(() => {
    clock = new FakeClock();
    source = new Source();
    stream = withHeartbeats(source, { clock, everyMs });
  });

  it("begins with one, and has one after each period in which nothing came", async () => {
    assert.deepEqual(await stream.next(), { done: false, value: undefined });
    for (let beat = 0; beat < 3; beat += 1) {
      const read = watched(stream.next());
      await clock.pass(everyMs - 1);
      assert.equal(read.came, false, `beat ${beat} came early`);
      await clock.pass(1);
      assert.equal(read.came, true, `beat ${beat} did not come`);
    }
    assert.equal(source.asked, 1, "the source is asked for one item, however long that takes");
  });

  it("counts silence from the latest item", async () => {
    await stream.next();
    const first = stream.next();
    await clock.pass(everyMs - 1);
    source.give("a");
    assert.equal((await first).value, "a");
    const second = watched(stream.next());
    await clock.pass(everyMs - 1);
    assert.equal(second.came, false);
    await clock.pass(1);
    assert.deepEqual(second, { came: true, value: undefined });
  });

  it("saves up none for a reader that is slow", async () => {
    await stream.next();
    const first = stream.next();
    await clock.pass(1);
    source.give("a");
    await first;
    await clock.pass(10 * everyMs);
    const second = watched(stream.next());
    await clock.pass(1);
    assert.equal(second.came, false);
    source.give("b");
    await clock.pass(0);
    assert.deepEqual(second, { came: true, value: "b" });
  });

  it("has one timer for a thousand items, and none when it was left", async () => {
    await stream.next();
    for (let item = 0; item < 1_000; item += 1) {
      const read = stream.next();
      await Promise.resolve();
      source.give(`${item}`);
      assert.equal((await read).value, `${item}`);
    }
    assert.equal(clock.sleeps.length, 1);
    await stream.return();
    await clock.pass(0);
    assert.equal(clock.sleeping, 0);
    assert.equal(source.isLeft, true);
  });

  it("throws what the source throws, and leaves no timer", async () => {
    await stream.next();
    const read = stream.next();
    await Promise.resolve();
    source.fail(new Error("broken"));
    await assert.rejects(read, /broken/);
    await clock.pass(0);
    assert.equal(clock.sleeping, 0);
  });
});
