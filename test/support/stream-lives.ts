import type { Client } from "@grpc/grpc-js";
import { RawAgent, rawConnection, type RawIdentity, rawIdentity } from "./raw-agent.ts";

/** How one stream lives, until it has ended. */
type Life = (agent: RawAgent) => Promise<unknown>;

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

// Mostly strangers: a session costs a disk its time, whatever it leaves behind.
const lives = [...sessions, ...strangers, ...strangers, ...strangers, ...strangers];
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
          await live(turn === 0 ? port : connection, identity, lives[(turn + index) % lives.length]);
        }
      }),
    );
  } finally {
    connection.close();
  }
}

async function live(place: number | Client, identity: RawIdentity, life: Life | undefined): Promise<void> {
  const agent = new RawAgent(place, identity);
  try {
    await life?.(agent);
    await agent.ended;
  } finally {
    agent.close();
  }
}

/** They wait until the time for a handshake is over, as many on a connection as may be open at once. */
async function saySilent(port: number, count: number): Promise<void> {
  const connections = Array.from({ length: Math.ceil(count / silentEach) }, () => rawConnection(port));
  const waits = Array.from({ length: count }, (_, index) => {
    const connection = connections[index % connections.length] ?? port;
    return live(connection, rawIdentity("engine-of-nobody"), () => Promise.resolve());
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
