import assert from "node:assert/strict";
import { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { gather } from "../../src/rpc/gather.ts";
import { eventually } from "../support/control-plane-harness.ts";

describe("connections that arrive together", () => {
  let handedOn: Socket[];
  let take: (socket: Socket) => void;
  beforeEach(() => {
    handedOn = [];
    // However slow the machine is.
    take = gather((socket) => void handedOn.push(socket), Number.POSITIVE_INFINITY);
  });

  it("are handed on together, in their order, once a turn brings no other", async () => {
    const sockets = Array.from({ length: 10 }, () => new Socket());
    for (const socket of sockets) {
      take(socket);
      assert.deepEqual(handedOn, [], "work was begun while others were still arriving");
      await nextTurn();
    }
    await eventually(() => handedOn.length > 0, "a batch");
    assert.deepEqual(handedOn, sockets);
  });

  it("do not wait for others without end", async () => {
    let count = 0;
    while (handedOn.length === 0 && count < 1_000) {
      take(new Socket());
      count += 1;
      await nextTurn();
    }
    assert.ok(handedOn.length > 0 && count <= 129, `${count} waited`);
  });

  it("are left out when they were closed meanwhile, and a later one is taken like the first", async () => {
    const [gone, stays, later] = [new Socket(), new Socket(), new Socket()];
    take(gone);
    take(stays);
    gone.destroy();
    await eventually(() => handedOn.length === 1, "the one that stays");
    take(later);
    await eventually(() => handedOn.length === 2, "the later one");
    assert.deepEqual(handedOn, [stays, later]);
  });
});
