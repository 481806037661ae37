import type { Socket } from "node:net";

// Beyond so many a batch is handed on though more are waiting.
const maxSockets = 128;

/**
 * Hands connections on together that arrive together. Node accepts one connection in each turn of its event loop: were each begun with at once,
 * its first work, which ends in a commit, would fill the turn, and a fleet that comes back would be let in one agent a commit. Each waits until
 * a turn brings no other, for at most `maxMs`; those that were closed meanwhile are left out.
 */
export function gather(handOn: (socket: Socket) => void, maxMs = 20): (socket: Socket) => void {
  let batch: Socket[] = [];
  const look = (before: number, endMs: number): void => {
    const isGrowing = batch.length > before && batch.length < maxSockets && performance.now() < endMs;
    if (isGrowing) {
      setImmediate(look, batch.length, endMs);
      return;
    }
    const arrived = batch;
    batch = [];
    for (const socket of arrived) {
      if (!socket.destroyed) handOn(socket);
    }
  };
  return (socket) => {
    batch.push(socket);
    if (batch.length === 1) setImmediate(look, 0, performance.now() + maxMs);
  };
}
