import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { addressGroup } from "../../../src/control-plane/session/address-group.ts";
import type { AgentCall } from "../../../src/control-plane/session/agent-call.ts";
import { defaultSessionSettings } from "../../../src/control-plane/session/session-settings.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import { handshakeDelayMs, Reception } from "../../../src/control-plane/session/reception.ts";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { eventually, testControlPlane } from "../../support/control-plane-harness.ts";
import { rejection } from "../../support/dispatching.ts";
import { RawAgent, rawIdentity } from "../../support/raw-agent.ts";

/** A way to a port of 127.0.0.1 on which connections come from another address. */
async function from(localAddress: string, port: number): Promise<Server> {
  const proxy = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port, localAddress });
    near.pipe(far).pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return proxy;
}

/** A stream that says nothing. */
function silentCall(): AgentCall {
  return Object.assign(new EventEmitter(), { getPeer: () => "192.0.2.1:1" }) as unknown as AgentCall;
}

describe("reception of strangers", () => {
  it("S01 a stream that leaves while it waits for its turn frees its place at once", async () => {
    const wheel = new TimerWheel();
    const settings = { ...defaultSessionSettings, maxHandshakes: 1 };
    const reception = new Reception({ settings, wheel, clock: systemClock });
    const heard = Promise.withResolvers<string>();
    const first = reception.receive(silentCall(), () => heard.promise);
    const call = silentCall();
    const second = reception.receive(call, () => assert.fail("it is not its turn"));
    assert.equal(reception.size, 2);
    call.emit("cancelled");
    await assert.rejects(second, { reason: "SESSION_LOST" });
    assert.equal(reception.size, 1);
    heard.resolve("hello");
    assert.equal(await first, "hello");
    assert.deepEqual([reception.size, wheel.size], [0, 0]);
  });

  it("S17 a stream beyond the limit waits its turn, and beyond all limits it is refused with the time to come back", async () => {
    await using plane = await testControlPlane({ session: { maxHandshakes: 1, maxWaitingStreams: 2 } });
    const first = plane.stream();
    await first.challenge();
    let heard = false;
    const second = plane.stream();
    const turn = second.challenge().then(() => (heard = true));
    const busy = await eventually(
      () =>
        Promise.race([
          rejection(plane.stream().challenge(), "OVERLOADED"),
          new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 500)),
        ]),
      "a refusal",
    );
    assert.ok((busy.retryAfterMs ?? 0) > 0);
    assert.equal(heard, false);
    first.close();
    await turn;
  });

  it("S17 while one address exhausts its share, an agent from another gets in", async () => {
    await using plane = await testControlPlane({ session: { maxHandshakesEach: 2 } });
    const crowd = Array.from({ length: 20 }, () => plane.stream());
    let heard = 0;
    for (const agent of crowd) {
      void agent.challenge().then(
        () => (heard += 1),
        () => undefined,
      );
    }
    await eventually(() => heard === 2, "the share is exhausted");
    const proxy = await from("127.0.0.2", plane.controlPlane.agentsAddress.port);
    const elsewhere = new RawAgent((proxy.address() as AddressInfo).port, rawIdentity(), plane.ca);
    try {
      assert.ok((await elsewhere.register(await plane.controlPlane.createToken("elsewhere"))).agentId);
      assert.equal(heard, 2);
    } finally {
      elsewhere.close();
      proxy.close();
    }
  });

  it("S17 100 honest agents behind one address with 16 places all get in", async function () {
    this.timeout(30_000);
    await using plane = await testControlPlane({ session: { maxHandshakesEach: 16 } });
    const { token } = await plane.client(RegistrationTokenService).createRegistrationToken({ maxUses: 100 });
    const agents = Array.from({ length: 100 }, () => plane.stream());
    const welcomes = await Promise.all(agents.map((agent) => agent.register(token)));
    assert.equal(new Set(welcomes.map(({ agentId }) => agentId)).size, 100);
  });

  it("S17 an address whose handshakes keep failing has to wait, and an honest agent from it still gets in", async () => {
    await using plane = await testControlPlane({ session: { maxFailedHandshakes: 2 } });
    for (let count = 0; count < 4; count += 1) {
      await rejection(plane.stream().register("fl1.none.wrong"), "UNAUTHENTICATED");
    }
    const token = await plane.controlPlane.createToken("honest");
    const before = performance.now();
    assert.ok((await plane.stream().register(token)).agentId);
    assert.ok(performance.now() - before >= 400, "it was slowed down");
  });

  it("S17 20 failures in a minute cost nothing, each further one costs more, up to a limit", () => {
    const delays = [0, 20, 21, 22, 500].map((failures) => handshakeDelayMs(failures, 20));
    assert.deepEqual(delays, [0, 0, 250, 500, 10_000]);
    assert.equal(handshakeDelayMs(500, Number.POSITIVE_INFINITY), 0);
  });

  it("S17 an address of IPv4 stands for itself, one of IPv6 for its 64 bits", () => {
    const groups = [
      "192.0.2.1:5000",
      "[::ffff:192.0.2.1]:5000",
      "[2001:db8:0:7:1::2]:1",
      "[2001:DB8::7:a:b:c:d]:2",
      "[::1]:3",
    ].map(addressGroup);
    assert.deepEqual(groups, [
      "192.0.2.1",
      "192.0.2.1",
      "2001:db8:0:7::/64",
      "2001:db8:0:7::/64",
      "0:0:0:0::/64",
    ]);
  });
});
