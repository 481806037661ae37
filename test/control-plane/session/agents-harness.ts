import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Enrolment } from "../../../src/control-plane/enrolment/enrolment.ts";
import { RegistrationTokens } from "../../../src/control-plane/enrolment/registration-tokens.ts";
import { EventLog } from "../../../src/control-plane/events/event-log.ts";
import { FleetInventory } from "../../../src/control-plane/inventory/fleet-inventory.ts";
import { AgentStreams } from "../../../src/control-plane/session/agent-streams.ts";
import { startAgentsListener } from "../../../src/control-plane/session/agents-listener.ts";
import type { CommandTraffic } from "../../../src/control-plane/session/command-traffic.ts";
import { Reception } from "../../../src/control-plane/session/reception.ts";
import { SessionRegistry } from "../../../src/control-plane/session/session-registry.ts";
import {
  defaultSessionSettings,
  type SessionSettings,
} from "../../../src/control-plane/session/session-settings.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import { openStorage } from "../../../src/storage/storage.ts";
import { silentLogger } from "../../support/silent-logger.ts";

/** Traffic of a fleet in which nobody commands anything. */
export const noTraffic: CommandTraffic = {
  settled: () => Promise.resolve([]),
  callerOf: () => Promise.resolve(undefined),
  opened: () => undefined,
  accepted: () => undefined,
  ended: () => undefined,
  invalid: () => undefined,
  closed: () => undefined,
};

/**
 * The agents' listener with its rooms in reach, on a real database and real sockets. Plaintext, so that what travels is only what these tests are about:
 * frames and who is taken for whom, which TLS changes nothing of. Connections with TLS are what `testControlPlane` makes.
 */
export async function agentsHarness(
  options: { traffic?: Partial<CommandTraffic>; settings?: Partial<SessionSettings> } = {},
) {
  const dataDir = await mkdtemp(join(tmpdir(), "fairlead-agents-"));
  const storage = await openStorage({ path: join(dataDir, "fairlead.db"), logger: silentLogger });
  const base = { storage, clock: systemClock, logger: silentLogger, random: Math.random };
  const wheel = new TimerWheel();
  const events = new EventLog(base);
  const registry = new SessionRegistry();
  // Tests fail on purpose, and all of them from one address.
  const settings = {
    ...defaultSessionSettings,
    maxFailedHandshakes: Number.POSITIVE_INFINITY,
    ...options.settings,
  };
  const streams = new AgentStreams({
    ...base,
    wheel,
    reception: new Reception({ ...base, wheel, settings }),
    events,
    registry,
    inventory: new FleetInventory(),
    enrolment: new Enrolment({ ...base, events }),
    traffic: { ...noTraffic, ...options.traffic },
    settings,
  });
  const listener = await startAgentsListener({
    host: "127.0.0.1",
    port: 0,
    take: (call, disconnect) => streams.take(call, disconnect),
    takeData: () => assert.fail("nobody opens a data stream here"),
  });
  return {
    port: listener.port,
    listener,
    tokens: new RegistrationTokens({ ...base, events, caDigest: () => "none" }),
    streams,
    registry,
    wheel,
    async [Symbol.asyncDispose]() {
      await streams.close();
      await listener.close();
      events.close();
      await storage.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
