import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import type { DataStreams } from "../../../src/control-plane/streams/data-streams.ts";
import { defaultStreamSettings } from "../../../src/control-plane/streams/stream-settings.ts";
import type { Command } from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import { OperationSchema } from "../../../src/gen/fairlead/agent/v1/operation_pb.js";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { type RawAgent, rawConnection } from "../../support/raw-agent.ts";
import { RawDataStream } from "../../support/raw-data-stream.ts";

/** Asks an agent for a stream past the API, as a service would, and hears what it is told. */
async function asked(fleet: TestControlPlane, agent: RawAgent) {
  const { hostId = "", hostName = "" } = agent.welcome ?? {};
  const streams = fleet.controlPlane.dataStreams as DataStreams;
  const opening = streams.open({
    host: { hostId, hostName, agentId: agent.identity.agentId },
    operation: (ticket) =>
      create(OperationSchema, { operation: { case: "openLogs", value: { ticket, container: "web" } } }),
    container: "web",
    timeoutMs: undefined,
    caller: "test",
    signal: neverAborted,
  });
  opening.catch(() => undefined);
  const command = await agent.command();
  return { opening, command, ticket: ticketOf(command) };
}

function ticketOf({ operation }: Command): Uint8Array {
  assert.ok(operation?.operation.case === "openLogs");
  return operation.operation.value.ticket;
}

async function refused(stream: RawDataStream): Promise<void> {
  assert.equal((await stream.ended).reason, "UNAUTHENTICATED");
}

describe("data streams of agents that do as they like", () => {
  let fleet: TestControlPlane;
  let connection: Client;
  let agent: RawAgent;

  beforeEach(async () => {
    fleet = await testControlPlane();
    connection = rawConnection(fleet.controlPlane.agentsAddress.port, fleet.ca);
    agent = await fleet.enrolled();
  });
  afterEach(async () => {
    connection.close();
    await fleet[Symbol.asyncDispose]();
  });

  it("D01 a ticket is good with the key of the agent that it was given to, and with no other", async () => {
    const other = await fleet.enrolled();
    const { opening, command, ticket } = await asked(fleet, agent);
    const thief = new RawDataStream(connection, other.identity);
    thief.open(ticket, { agentId: agent.identity.agentId });
    await refused(thief);
    const strayed = new RawDataStream(connection, other.identity);
    strayed.open(ticket);
    await refused(strayed);

    const rightful = new RawDataStream(connection, agent.identity);
    rightful.open(ticket);
    agent.succeed(command);
    assert.equal((await opening).commandId, command.commandId);
    const again = new RawDataStream(connection, agent.identity);
    again.open(ticket);
    await refused(again);
    rightful.close();
  });

  it("D03 a stream ends with the session over which it was asked for, also when its agent keeps it open", async () => {
    const { opening, command, ticket } = await asked(fleet, agent);
    const stream = new RawDataStream(connection, agent.identity);
    stream.open(ticket);
    agent.succeed(command);
    await opening;
    agent.close();
    assert.equal((await stream.ended).reason, "AGENT_DISCONNECTED");
    await eventually(() => fleet.controlPlane.dataStreams.size === 0, "nothing is left");
  });

  it("D03 a stream that is opened when its session has ended is over at once", async () => {
    const before = await asked(fleet, agent);
    new RawDataStream(connection, agent.identity).open(before.ticket);
    agent.succeed(before.command);
    await before.opening;
    const { opening, command, ticket } = await asked(fleet, agent);
    agent.succeed(command);
    await eventually(() => fleet.controlPlane.dispatcher.inFlight === 0, "the agent has answered");
    agent.close();
    await eventually(() => !fleet.controlPlane.sessions.isOnline(agent.identity.agentId), "offline");
    const stream = new RawDataStream(connection, agent.identity);
    stream.open(ticket);
    await opening.then(
      ({ stream: opened }) => assert.ok(opened.signal.aborted),
      () => undefined,
    );
    assert.equal((await stream.ended).reason, "AGENT_DISCONNECTED");
    await eventually(() => fleet.controlPlane.dataStreams.size === 0, "nothing is left");
  });

  it("D03 a stream that breaks the protocol is told so, and nothing but it ends", async () => {
    const { opening, command, ticket } = await asked(fleet, agent);
    const stream = new RawDataStream(connection, agent.identity);
    stream.open(ticket);
    agent.succeed(command);
    const { stream: opened } = await opening;
    stream.open(ticket);
    await assert.rejects(opened.messages(neverAborted).next(), { reason: "PROTOCOL_VIOLATION" });
    assert.equal((await stream.ended).reason, "PROTOCOL_VIOLATION");
    assert.ok(fleet.controlPlane.sessions.isOnline(agent.identity.agentId));
  });

  it("D01 D05 a ticket lives 30 s, and there are 32 streams of one agent and 1,024 in all, unless that is set", () => {
    assert.deepEqual(defaultStreamSettings, { maxStreamsEach: 32, maxStreams: 1_024, ticketMs: 30_000 });
  });
});
