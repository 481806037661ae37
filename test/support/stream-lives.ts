import type { Client } from "@grpc/grpc-js";
import { randomBytes } from "node:crypto";
import { RawAgent, rawConnection, type RawIdentity, rawIdentity } from "./raw-agent.ts";
import { RawDataStream } from "./raw-data-stream.ts";

/** How one stream lives, until it has ended. */
type Life = (agent: RawAgent) => Promise<unknown>;

/** The same of a data stream. */
type DataLife = (stream: RawDataStream) => void;

/** Streams that become sessions: one that vanishes, one that says goodbye, one that breaks the protocol. */
const sessions: readonly Life[] = [
  async (agent) => {
    await back(agent);
    agent.close();
  },
  async (agent) => {
    await back(agent);
    agent.halfClose();
  },
  async (agent) => {
    await back(agent);
    agent.sendBytes(new Uint8Array([0xff]));
  },
];

/** Streams that do not: they vanish, talk nonsense, go in the middle of their hello, or are somebody else. */
const strangers: readonly Life[] = [
  async (agent) => {
    await agent.challenge();
    agent.close();
  },
  async (agent) => {
    await agent.challenge();
    agent.sendBytes(new Uint8Array([0xff]));
  },
  async (agent) => {
    agent.sendHello(returning(agent), (await agent.challenge()).nonce);
    agent.close();
  },
  async (agent) => {
    await agent.challenge();
    agent.sendHello(returning(agent), new Uint8Array(32));
  },
  async (agent) => {
    const { nonce } = await agent.challenge();
    agent.sendHello(agent.hello({ case: "reconnection", value: { agentId: "nobody" } }), nonce);
  },
];

/** Data streams that nobody has asked for: of the right agent, by another key, of somebody else, talking nonsense, and gone before they have said anything. */
const intruders: readonly DataLife[] = [
  (stream) => stream.open(randomBytes(32)),
  (stream) => stream.open(randomBytes(32), { signature: randomBytes(64) }),
  (stream) => stream.open(randomBytes(32), { agentId: "nobody" }),
  (stream) => stream.sendBytes(new Uint8Array([0xff])),
  (stream) => stream.halfClose(),
  (stream) => stream.close(),
];

type Place = number | Client;

const agentLives = (some: readonly Life[]) =>
  some.map((life) => (place: Place, identity: RawIdentity) => live(new RawAgent(place, identity), life));
const others = [
  ...agentLives(strangers),
  ...intruders.map((life) => (place: Place, identity: RawIdentity) => {
    return live(new RawDataStream(place, identity), async (stream) => life(stream));
  }),
];
// Mostly strangers: a session costs a disk its time, whatever it leaves behind.
const lives = [...agentLives(sessions), ...others, ...others];
const streamsEach = 100;
const atOnce = 5;
const silentEach = 50;

/**
 * Opens streams and ends each in its own way, a hundred on a connection, and one in twenty on a connection of its own. One in fifty says nothing until it
 * is sent away. Every identity is used by one stream at a time. Resolves when all have ended.
 */
export async function liveStreams(
  port: number,
  identities: readonly RawIdentity[],
  count: number,
): Promise<void> {
  const silent = Math.floor(count / 50);
  const rounds = Math.ceil((count - silent) / streamsEach);
  const lanes = Math.floor(identities.length / atOnce);
  let begun = 0;
  const lane = async (index: number) => {
    const own = identities.slice(index * atOnce, (index + 1) * atOnce);
    while (begun < rounds) {
      begun += 1;
      await connectionOf(port, own);
    }
  };
  await Promise.all([saySilent(port, silent), ...Array.from({ length: lanes }, (_, index) => lane(index))]);
}

async function connectionOf(port: number, identities: readonly RawIdentity[]): Promise<void> {
  const connection = rawConnection(port);
  try {
    await Promise.all(
      identities.map(async (identity, index) => {
        for (let turn = 0; turn < streamsEach / identities.length; turn += 1) {
          // The first of each has a connection of its own.
          await lives[(turn + index) % lives.length]?.(turn === 0 ? port : connection, identity);
        }
      }),
    );
  } finally {
    connection.close();
  }
}

async function live<Stream extends RawAgent | RawDataStream>(
  stream: Stream,
  life: (stream: Stream) => Promise<unknown>,
): Promise<void> {
  try {
    await life(stream);
    await stream.ended;
  } finally {
    stream.close();
  }
}

/** They wait until the time for a handshake is over, as many on a connection as may be open at once. */
async function saySilent(port: number, count: number): Promise<void> {
  const connections = Array.from({ length: Math.ceil(count / silentEach) }, () => rawConnection(port));
  const waits = Array.from({ length: count }, (_, index) => {
    const connection = connections[index % connections.length] ?? port;
    const nobody = rawIdentity("engine-of-nobody");
    const stream = index % 2 === 0 ? new RawAgent(connection, nobody) : new RawDataStream(connection, nobody);
    return live(stream, () => Promise.resolve());
  });
  try {
    await Promise.all(waits);
  } finally {
    for (const connection of connections) connection.close();
  }
}

// The same process each time: who comes back with another one is watched as a clone for a minute.
function back(agent: RawAgent): Promise<unknown> {
  return agent.reconnect({ instanceId: agent.identity.journalId });
}

function returning(agent: RawAgent) {
  const { agentId } = agent.identity;
  return agent.hello({ case: "reconnection", value: { agentId } as never });
}
