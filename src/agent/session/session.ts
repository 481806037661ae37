import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { ControlFrame } from "../../gen/fairlead/agent/v1/frame_pb.js";
import type { Welcome } from "../../gen/fairlead/agent/v1/handshake_pb.js";
import { withDeadline } from "../../resilience/deadline.ts";
import { linkSignal } from "../../resilience/signals.ts";
import type { AgentConfig } from "../config.ts";
import type { EngineFacts } from "../engine/engine.ts";
import type { Executor } from "../execution/executor.ts";
import type { Journal } from "../execution/journal.ts";
import type { PolicyFile, PolicyReport } from "../execution/policy/policy-file.ts";
import type { AgentKey } from "../identity/agent-key.ts";
import type { CertificateFile } from "../identity/certificate-file.ts";
import type { IdentityFile } from "../identity/identity-file.ts";
import type { TrustStore } from "../identity/trust-store.ts";
import type { ContainerMirror } from "../inventory/container-mirror.ts";
import type { EngineFollower } from "../inventory/engine-follower.ts";
import type { HostEventQueue } from "../inventory/host-event-queue.ts";
import { InventoryFeed } from "../inventory/inventory-feed.ts";
import type { DataStreams } from "../streams/data-streams.ts";
import { channelCredentials } from "./channel-credentials.ts";
import { CertificateRenewal } from "./certificate-renewal.ts";
import { AgentConnection } from "./connection.ts";
import { shakeHands } from "./handshake.ts";
import { proveNewKey } from "./key-rotation.ts";
import { Lease } from "./lease.ts";
import { Outbox } from "./outbox.ts";
import type { SessionEnd } from "./reconnect.ts";
import { explained } from "./tls-mismatch.ts";

/** What sessions need of the agent's rooms. */
export interface SessionRooms {
  readonly config: AgentConfig;
  readonly identity: IdentityFile;
  readonly trust: TrustStore;
  readonly certificate: CertificateFile;
  readonly journal: Journal;
  readonly executor: Executor;
  readonly policy: PolicyFile;
  readonly follower: EngineFollower;
  readonly mirror: ContainerMirror;
  readonly events: HostEventQueue;
  readonly streams: DataStreams;
  /** Random, 16 bytes, made anew by each process. */
  readonly instanceId: Uint8Array;
}

/** Who is told when a session begins, with what must end before the session's stream does at a drain. */
export type OnSession = (welcome: Welcome, flushed: () => Promise<void>) => void;

const usualFrameBytes = 64 * 1024;
const usualHeartbeatMs = 15_000;
const heartbeatsInLease = 3;

/**
 * One session, from the dial to its end. `hold` resolves to how it ended, whatever happened; then nothing of it is left.
 */
export class Session {
  readonly #rooms: SessionRooms;
  readonly #facts: EngineFacts;
  readonly #onSession: OnSession;
  #beganMs: number | undefined;
  #drainMs: number | undefined;
  /** The host's policy as the control plane was told it. */
  #toldPolicy: PolicyReport | undefined;

  constructor(rooms: SessionRooms, facts: EngineFacts, onSession: OnSession) {
    this.#rooms = rooms;
    this.#facts = facts;
    this.#onSession = onSession;
  }

  /** Holds the session until it ends by itself or the signal aborts. */
  async hold(signal: AbortSignal): Promise<SessionEnd> {
    const { clock } = this.#rooms.config;
    const error = await this.#untilEnd(signal);
    const livedMs = this.#beganMs === undefined ? undefined : clock.monotonic() - this.#beganMs;
    return { error, livedMs, drainMs: this.#drainMs };
  }

  /** With the key that was offered last, and when the control plane has not taken that, with the one before. */
  async #untilEnd(signal: AbortSignal): Promise<FleetError> {
    const [first, ...others] = this.#rooms.identity.keys();
    let end = await this.#withKey(first, signal);
    for (const key of others) {
      if (end.reason !== "UNAUTHENTICATED" || this.#beganMs !== undefined) return end;
      end = await this.#withKey(key, signal);
    }
    return end;
  }

  async #withKey(key: AgentKey, signal: AbortSignal): Promise<FleetError> {
    const { identity } = this.#rooms;
    let connection: AgentConnection | undefined;
    try {
      connection = new AgentConnection(this.#rooms.config.server, await this.#secure(signal));
      const { welcome, askedMs } = await this.#open(connection, key, signal);
      await this.#adopt(key.publicKey);
      // Before the ids: who has ids does not register again, and may need the certificate to come back.
      if (welcome.certificate.length > 0) await this.#rooms.certificate.accept(welcome.certificate);
      await identity.keepIds(welcome.agentId, welcome.hostId);
      this.#acknowledge(welcome.acknowledgedCommandIds);
      return await this.#serve(connection, welcome, askedMs, signal);
    } catch (error) {
      if (error instanceof FleetError) return await this.#explained(error, signal);
      return new FleetError("SESSION_LOST", "the session failed by a fault of the agent", { cause: error });
    } finally {
      connection?.close();
    }
  }

  async #explained(error: FleetError, signal: AbortSignal): Promise<FleetError> {
    const { config, trust } = this.#rooms;
    if (this.#beganMs !== undefined || config.credentials !== undefined) return error;
    const plaintext = config.insecure || trust.authorities === undefined;
    return await explained(error, { server: config.server, plaintext }, signal);
  }

  async #secure(parent: AbortSignal): Promise<ChannelCredentials> {
    const { config } = this.#rooms;
    const { clock, limits, server } = config;
    const late = () =>
      new FleetError("HANDSHAKE_TIMEOUT", `no TLS handshake with ${server} within ${limits.handshakeMs} ms`);
    return await withDeadline({ ms: limits.handshakeMs, clock, parent, late }, (signal) =>
      channelCredentials(config, this.#rooms, signal),
    );
  }

  async #open(connection: AgentConnection, key: AgentKey, parent: AbortSignal) {
    const { config, executor, identity, instanceId, journal, policy } = this.#rooms;
    const { agentVersion, clock, limits, name, token, uniqueByName } = config;
    const late = () =>
      new FleetError("HANDSHAKE_TIMEOUT", `no welcome from ${config.server} within ${limits.handshakeMs} ms`);
    this.#toldPolicy = policy.report;
    const hello = {
      identity,
      key,
      token,
      name,
      uniqueByName,
      agentVersion,
      instanceId,
      facts: this.#facts,
      policy: this.#toldPolicy,
      trustedAuthorityDigests: this.#trustedDigests(),
      certificateRequest: this.#certificateRequest(),
      journalId: journal.id,
      runningIds: executor.runningIds(),
      heldIds: journal.held().map(({ commandId }) => commandId),
    };
    return await withDeadline({ ms: limits.handshakeMs, clock, parent, late }, (signal) =>
      shakeHands(connection, hello, clock, signal),
    );
  }

  async #serve(
    connection: AgentConnection,
    welcome: Welcome,
    askedMs: number,
    parent: AbortSignal,
  ): Promise<FleetError> {
    const { config, events, executor, follower, journal, mirror, policy, streams } = this.#rooms;
    const logger = config.logger.child({ agent_id: welcome.agentId, session_epoch: welcome.sessionEpoch });
    const scope = linkSignal(parent);
    const end = (error: unknown) => scope.abort(error);
    // A welcome may have waited to be read, like everything else: it counts from when it was asked for.
    const lease = new Lease(config.clock, leaseFrom(welcome), askedMs);
    const feed = new InventoryFeed(mirror, () => outbox.wake());
    const outbox: Outbox = new Outbox({
      sink: connection.sink,
      feed,
      events,
      clock: config.clock,
      logger,
      onOverflow: end,
      agentId: welcome.agentId,
      epoch: welcome.sessionEpoch,
      lease,
      maxFrameBytes: welcome.maxFrameBytes || usualFrameBytes,
      onRoom: () => executor.resume(),
    });
    const renewal = new CertificateRenewal({
      file: this.#rooms.certificate,
      clock: config.clock,
      random: config.random,
      logger,
      ask: (request) => outbox.certificateRequest(request),
    });
    const stops = [
      () => executor.endSession(outbox, reasonOf(scope.signal)),
      () => streams.endAll(new FleetError("SESSION_LOST", "the session of the agent ended")),
      () => outbox.close(),
      () => feed.close(),
      events.listen(() => outbox.wake()),
      follower.onHealth(() => outbox.engineState(follower.health)),
      policy.onChange(() => this.#tellPolicy(outbox)),
      () => scope.release(),
    ];
    const tasks: Promise<unknown>[] = [];
    this.#beganMs = config.clock.monotonic();
    try {
      events.beginSession(welcome.acknowledgesHostEvents);
      outbox.heartbeat();
      outbox.engineState(follower.health);
      this.#tellPolicy(outbox);
      const held = journal.held();
      executor.beginSession(outbox);
      this.#onSession(welcome, () => this.#finish(connection, outbox));
      tasks.push(
        lease.run(() => outbox.heartbeat(), scope.signal),
        outbox.run(),
        outbox.resend(held),
        renewal.run(scope.signal),
        this.#read({ connection, lease, logger, outbox, renewal }, scope.signal),
      );
      for (const task of tasks) task.catch(end);
      await aborted(scope.signal);
    } finally {
      for (const stop of stops) stop();
      await Promise.allSettled(tasks);
    }
    return reasonOf(scope.signal);
  }

  #tellPolicy(outbox: Outbox): void {
    const { report } = this.#rooms.policy;
    if (report === undefined || report === this.#toldPolicy) return;
    this.#toldPolicy = report;
    outbox.hostPolicy(report);
  }

  async #finish(connection: AgentConnection, outbox: Outbox): Promise<void> {
    await outbox.flushed();
    connection.finish();
  }

  async #read(
    session: {
      readonly connection: AgentConnection;
      readonly lease: Lease;
      readonly logger: Logger;
      readonly outbox: Outbox;
      readonly renewal: CertificateRenewal;
    },
    signal: AbortSignal,
  ): Promise<never> {
    for (;;) {
      const message = await session.connection.next(signal);
      session.lease.renew();
      if (message.case === "frame") {
        this.#take(message.value, session.lease, session.logger);
        this.#takeKeys(message.value, session.outbox);
        void this.#takeAuthorities(message.value, session.outbox);
        takeCertificate(message.value, session.renewal);
      }
      if (message.case !== undefined && message.case !== "frame") throw unexpectedMessage(message.case);
    }
  }

  // A journal that cannot be written now must not cost the session: what it still holds is sent once more.
  #acknowledge(commandIds: readonly string[]): void {
    const { config, journal } = this.#rooms;
    journal.acknowledge(commandIds).catch((error: unknown) => {
      config.logger.error({ err: error }, "acknowledgements cannot be written to the journal");
    });
  }

  #takeKeys({ rotateKey, acceptedPublicKey }: ControlFrame, outbox: Outbox): void {
    if (acceptedPublicKey.length > 0) void this.#adopt(acceptedPublicKey);
    if (rotateKey === undefined) return;
    const { config, identity } = this.#rooms;
    proveNewKey(identity, rotateKey.nonce).then(
      (proof) => outbox.keyProof(proof),
      (error: unknown) => config.logger.error({ err: error }, "no new key can be made, the old one stays"),
    );
  }

  // Other credentials, and plaintext, are nothing that a list could change.
  #trustedDigests(): readonly Uint8Array[] {
    const { config, trust } = this.#rooms;
    return config.insecure || config.credentials !== undefined ? [] : trust.digests;
  }

  #certificateRequest(): Uint8Array | undefined {
    const { certificate, identity } = this.#rooms;
    const isOfUse = identity.agentId === undefined && this.#trustedDigests().length > 0;
    return isOfUse ? certificate.request() : undefined;
  }

  async #takeAuthorities({ trustedAuthorities }: ControlFrame, outbox: Outbox): Promise<void> {
    if (trustedAuthorities === undefined) return;
    const { config, trust } = this.#rooms;
    try {
      const refused = await trust.learn(trustedAuthorities.authorities, config.clock.now());
      const authorities = trust.digests.map((digest) => Buffer.from(digest).toString("base64url"));
      config.logger.info({ authorities, refused }, "the control plane told which authorities to trust");
      outbox.authorityReport(this.#trustedDigests());
    } catch (error) {
      config.logger.error({ err: error }, "another authority cannot be trusted yet");
    }
  }

  // What cannot be written now is known all the same: both keys are on the disk, and the next start tries both.
  async #adopt(publicKey: Uint8Array): Promise<void> {
    const { config, identity } = this.#rooms;
    try {
      if (await identity.adopt(publicKey)) config.logger.info("this agent has another key");
    } catch (error) {
      config.logger.error({ err: error }, "the agent's new key cannot be written to its identity file");
    }
  }

  #take(frame: ControlFrame, lease: Lease, logger: Logger): void {
    const { events, executor } = this.#rooms;
    if (frame.storedHostEvents > 0n) events.acknowledge(Number(frame.storedHostEvents));
    // Before the commands: what is acknowledged may be the attempt before one of them.
    this.#acknowledge(frame.acknowledgedCommandIds);
    for (const command of frame.commands) executor.submit(command);
    if (frame.cancelledCommandIds.length > 0) executor.cancel(frame.cancelledCommandIds);
    if (frame.settings !== undefined) {
      const { heartbeatInterval, leaseDuration } = frame.settings;
      lease.change({
        ...(isPositive(heartbeatInterval) ? { heartbeatMs: durationMs(heartbeatInterval) } : {}),
        ...(isPositive(leaseDuration) ? { leaseMs: durationMs(leaseDuration) } : {}),
      });
    }
    if (frame.drain === undefined) return;
    const { reason, reconnectAfter } = frame.drain;
    this.#drainMs = reconnectAfter === undefined ? 0 : Math.max(0, durationMs(reconnectAfter));
    logger.info(
      { reason, reconnect_within_ms: this.#drainMs },
      "the control plane is about to end the session",
    );
  }
}

function takeCertificate(
  { certificate, certificateWanted }: ControlFrame,
  renewal: CertificateRenewal,
): void {
  if (certificate.length > 0) void renewal.take(certificate);
  if (certificateWanted === undefined) return;
  const { within } = certificateWanted;
  renewal.wanted(isPositive(within) ? durationMs(within) : 0);
}

function leaseFrom({ heartbeatInterval, leaseDuration }: Welcome): { heartbeatMs: number; leaseMs: number } {
  const heartbeatMs = isPositive(heartbeatInterval) ? durationMs(heartbeatInterval) : usualHeartbeatMs;
  const leaseMs = isPositive(leaseDuration) ? durationMs(leaseDuration) : heartbeatsInLease * heartbeatMs;
  return { heartbeatMs, leaseMs };
}

function isPositive(duration: Duration | undefined): duration is Duration {
  return duration !== undefined && durationMs(duration) > 0;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}

function unexpectedMessage(kind: string): FleetError {
  return new FleetError("PROTOCOL_VIOLATION", `the control plane sent a ${kind} in the middle of a session`);
}

function reasonOf({ reason }: AbortSignal): FleetError {
  return reason instanceof FleetError ? reason : fault(reason);
}

function fault(cause: unknown): FleetError {
  return new FleetError("SESSION_LOST", "the session failed by a fault of the agent", { cause });
}
