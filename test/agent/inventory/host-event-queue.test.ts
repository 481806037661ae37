import assert from "node:assert/strict";
import { type HostFact, HostEventQueue } from "../../../src/agent/inventory/host-event-queue.ts";
import { ContainerAction } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { AgentHarness } from "../../support/agent-harness.ts";

const fact = (number: number): HostFact => ({
  action: ContainerAction.STARTED,
  containerId: `${number}`,
  containerName: "",
  image: "",
  exitCode: 0,
  timeNs: BigInt(number),
  caughtUp: false,
  cause: { kind: "none" },
});

describe("the queue of host events", () => {
  let harness: AgentHarness;
  let taken: bigint[];
  let queue: HostEventQueue;
  beforeEach(() => {
    harness = new AgentHarness();
    taken = [];
    const { logger } = harness;
    queue = new HostEventQueue({ limit: 4, onTaken: (timeNs) => void taken.push(timeNs), logger });
  });

  function fill(from: number, to: number): void {
    for (let number = from; number <= to; number += 1) queue.push(fact(number));
  }

  /** Sends so many, or all. */
  function send(count = Number.POSITIVE_INFINITY): string[] {
    const sent: string[] = [];
    for (let next = queue.peek(); next !== undefined && sent.length < count; next = queue.peek()) {
      sent.push(`${next.containerId}${next.caughtUp ? " again" : ""}`);
      queue.take();
    }
    return sent;
  }

  it("S20 keeps the newest within its bound, counts what it drops, and warns without a flood", () => {
    fill(1, 5000);
    assert.equal(queue.size, 4);
    assert.equal(queue.dropped, 4996);
    assert.deepEqual(send(), ["4997", "4998", "4999", "5000"]);
    assert.ok(harness.lines.length > 0 && harness.lines.length < 20);
  });

  it("L06 what was sent and is not known to be stored is sent again in the next session, marked, and what is known is not", () => {
    queue.beginSession(true);
    fill(1, 3);
    assert.deepEqual(send(), ["1", "2", "3"]);
    queue.acknowledge(1);
    assert.deepEqual(taken, [1n]);
    queue.beginSession(true);
    fill(4, 4);
    assert.deepEqual(send(), ["2 again", "3 again", "4"]);
    queue.acknowledge(3);
    assert.deepEqual(taken, [1n, 4n]);
    queue.beginSession(true);
    assert.deepEqual(send(), []);
  });

  it("L06 acknowledgements count the session's own, also when the oldest of them had to go meanwhile", () => {
    queue.beginSession(true);
    fill(1, 4);
    assert.deepEqual(send(2), ["1", "2"]);
    fill(5, 7);
    assert.equal(queue.dropped, 1, "only what was never sent counts as dropped");
    assert.deepEqual(send(), ["4", "5", "6", "7"]);
    queue.acknowledge(4);
    assert.deepEqual(taken, [5n]);
    queue.acknowledge(3);
    queue.acknowledge(1000);
    assert.deepEqual(taken, [5n, 7n]);
  });

  it("L06 a control plane that acknowledges nothing is sent nothing twice", () => {
    queue.beginSession(false);
    fill(1, 2);
    assert.deepEqual(send(), ["1", "2"]);
    assert.deepEqual(taken, [1n, 2n]);
    queue.beginSession(false);
    assert.deepEqual(send(), []);
  });
});
