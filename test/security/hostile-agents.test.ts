import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { AgentStreamRequestSchema } from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { eventually, type TestControlPlane, testControlPlane } from "../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb } from "../support/dispatching.ts";
import type { RawAgent } from "../support/raw-agent.ts";

/** What a hostile agent may do next. Everything is tried in every state of a stream. */
type Move =
  | { readonly kind: "hello" | "bad-signature" | "empty-message" | "heartbeat" | "half-close" }
  | { readonly kind: "bytes" | "mutated"; readonly bytes: Uint8Array; readonly at: number }
  | { readonly kind: "result" | "part" | "acceptance"; readonly id: string }
  | { readonly kind: "inventory"; readonly id: string; readonly name: string };

const simple = ["hello", "bad-signature", "empty-message", "heartbeat", "half-close"] as const;
const someId = fc.constantFrom("", "x", "01890000-0000-7000-8000-000000000000", "\u0000", "y".repeat(5_000));
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom(...simple) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("bytes" as const, "mutated" as const),
      bytes: fc.uint8Array({ maxLength: 300 }),
      at: fc.nat(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("result" as const, "part" as const, "acceptance" as const),
      id: someId,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("inventory" as const),
      id: someId,
      name: fc.string({ maxLength: 600 }),
    }),
  },
);

/** A valid frame with some of its bytes overwritten. */
function mutated({ bytes, at }: { bytes: Uint8Array; at: number }): Uint8Array {
  const frame = {
    acceptances: [{ commandId: "01890000-0000-7000-8000-000000000000", attempt: 1 }],
    results: [{ commandId: "a", attempt: 1 }],
  };
  const valid = toBinary(
    AgentStreamRequestSchema,
    create(AgentStreamRequestSchema, { message: { case: "frame", value: frame } }),
  );
  bytes.forEach((byte, index) => {
    valid[(at + index) % valid.length] = byte;
  });
  return valid;
}

async function play(agent: RawAgent, step: Move, nonce: Uint8Array): Promise<void> {
  switch (step.kind) {
    case "hello":
    case "bad-signature": {
      const identity = {
        case: "reconnection" as const,
        value: { agentId: agent.identity.agentId || "nobody" },
      };
      agent.sendHello(agent.hello(identity), step.kind === "hello" ? nonce : randomBytes(32));
      return;
    }
    case "empty-message": {
      agent.sendMessage({ case: undefined });
      return;
    }
    case "heartbeat": {
      agent.send({});
      return;
    }
    case "half-close": {
      agent.halfClose();
      return;
    }
    case "bytes": {
      agent.sendBytes(step.bytes);
      return;
    }
    case "mutated": {
      agent.sendBytes(mutated(step));
      return;
    }
    case "result": {
      agent.result({ commandId: step.id, attempt: 1 });
      return;
    }
    case "part": {
      agent.send({ resultParts: [{ commandId: step.id, index: step.id.length, last: true }] });
      return;
    }
    case "acceptance": {
      agent.send({ acceptances: [{ commandId: step.id, attempt: 4_294_967_295 }] });
      return;
    }
    case "inventory": {
      agent.send({
        inventory: [{ update: { case: "container", value: { id: step.id, name: step.name } } }],
      });
      return;
    }
  }
}

/** The control plane still does its work for somebody honest. */
async function stillServes(plane: TestControlPlane): Promise<void> {
  const agent = await plane.enrolled();
  const call = dispatchTo(plane, agent, inspectWeb);
  agent.succeed(await agent.command());
  await call;
  agent.close();
}

describe("hostile agents", () => {
  it("V09 any message at any moment of a stream ends at most that stream, and others are served", async function () {
    this.timeout(60_000);
    await using plane = await testControlPlane({
      session: { maxFailedHandshakes: Number.POSITIVE_INFINITY, handshakeTimeoutMs: 2_000 },
    });
    const victim = await plane.enrolled();
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown) => void unhandled.push(error);
    process.on("unhandledRejection", onUnhandled);
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.boolean(),
          fc.array(move, { minLength: 1, maxLength: 12 }),
          async (known, moves) => {
            const agent = plane.stream(known ? victim.identity : undefined);
            const { nonce } = await agent.challenge();
            for (const step of moves) await play(agent, step, nonce);
            agent.halfClose();
            await Promise.race([
              agent.ended,
              eventually(() => agent.welcome, "a welcome", 200).catch(() => undefined),
            ]);
            agent.close();
          },
        ),
        { numRuns: 60 },
      );
      await eventually(() => plane.controlPlane.sessions.size <= 1, "hostile sessions have ended");
      await stillServes(plane);
      assert.deepEqual(unhandled, []);
    } finally {
      process.off("unhandledRejection", onUnhandled);
    }
  });

  it("V09 random bytes on the agents' port harm nobody", async function () {
    this.timeout(30_000);
    await using plane = await testControlPlane();
    const { port } = plane.controlPlane.agentsAddress;
    const preface = Buffer.from("PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n".replaceAll("\\r\\n", "\r\n"));
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
        async (withPreface, bytes) => {
          const socket = connect(port, "127.0.0.1");
          socket.on("error", () => undefined);
          await once(socket, "connect");
          socket.end(withPreface ? Buffer.concat([preface, bytes]) : bytes);
          socket.resume();
          await Promise.race([once(socket, "close"), new Promise((resolve) => setTimeout(resolve, 100))]);
          socket.destroy();
        },
      ),
      { numRuns: 80 },
    );
    await stillServes(plane);
  });

  it("S17 V09 2,000 streams that say nothing leave room for an honest agent, and all end in time", async function () {
    this.timeout(60_000);
    await using plane = await testControlPlane({
      // The streams are what counts: 2,000 clients that negotiate TLS in one process would take longer than any of them may be silent.
      tls: { kind: "off" },
      session: {
        handshakeTimeoutMs: 3_000,
        maxFailedHandshakes: Number.POSITIVE_INFINITY,
        maxHandshakes: 500,
        maxHandshakesEach: 400,
        maxWaitingStreams: 1_000,
      },
    });
    const silent = Array.from({ length: 2_000 }, () => plane.stream());
    const reasons = await Promise.all(silent.map(async (agent) => (await agent.ended).reason));
    const counted = Map.groupBy(reasons, (reason) => reason);
    assert.deepEqual([...counted.keys()].toSorted(), ["HANDSHAKE_TIMEOUT", "OVERLOADED"]);
    await stillServes(plane);
  });
});
