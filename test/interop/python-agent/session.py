"""One AgentStream: handshake, frames, heartbeats, lease."""

import queue
import random
import threading
import time

import grpc
from google.rpc import error_details_pb2, status_pb2

from fairlead.agent.v1 import agent_service_pb2, command_pb2, frame_pb2, inventory_pb2

METHOD = "/fairlead.agent.v1.AgentService/AgentStream"
PART_BYTES = 48 * 1024
HANDSHAKE_SECONDS = 30


class SessionEnded(Exception):
    """Why a stream ended: the reason of its ErrorInfo or "", and how long to wait at least, in seconds."""

    def __init__(self, status, reason, message, retry_after=0.0):
        super().__init__(f"{reason or status}: {message}")
        self.reason = reason
        self.retry_after = retry_after


class Session:
    def __init__(self, channel):
        self._outgoing = queue.Queue()
        self._incoming = queue.Queue()
        open_stream = channel.stream_stream(
            METHOD,
            request_serializer=agent_service_pb2.AgentStreamRequest.SerializeToString,
            response_deserializer=agent_service_pb2.AgentStreamResponse.FromString,
        )
        self._call = open_stream(iter(self._outgoing.get, None))
        threading.Thread(target=self._read, daemon=True).start()
        self.welcome = None
        self._drain_seconds = 0.0

    def _read(self):
        try:
            for response in self._call:
                self._incoming.put(response)
            self._incoming.put(SessionEnded("OK", "", "the stream ended"))
        except grpc.RpcError as error:
            self._incoming.put(ended_by(error))

    def close(self):
        self._outgoing.put(None)
        self._call.cancel()

    def _next(self, seconds):
        """The next message, or None after that many seconds."""
        try:
            message = self._incoming.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        if isinstance(message, SessionEnded):
            message.retry_after = max(message.retry_after, random.uniform(0, self._drain_seconds))
            raise message
        return message

    def shake_hands(self, signed_hello):
        """`signed_hello(nonce)` makes the answer to the challenge. Returns the welcome."""
        challenge = self._expect("challenge")
        self._outgoing.put(agent_service_pb2.AgentStreamRequest(hello=signed_hello(challenge.nonce)))
        self.welcome = self._expect("welcome")
        self._take_settings(self.welcome)
        return self.welcome

    def _expect(self, kind):
        message = self._next(HANDSHAKE_SECONDS)
        if message is None or message.WhichOneof("message") != kind:
            raise SessionEnded("", "", f"expected a {kind}")
        return getattr(message, kind)

    def _take_settings(self, settings):
        if settings.HasField("heartbeat_interval"):
            self._heartbeat_seconds = settings.heartbeat_interval.ToNanoseconds() / 1e9
        if settings.HasField("lease_duration"):
            self._lease_seconds = settings.lease_duration.ToNanoseconds() / 1e9

    def run(self, on_frame, on_pause):
        """Gives each frame to `on_frame` and calls `on_pause` often, until the session ends with SessionEnded."""
        heard = time.monotonic()
        beat = heard
        while True:
            now = time.monotonic()
            if now - heard > self._lease_seconds:
                raise SessionEnded("", "LEASE_EXPIRED", "the control plane is silent")
            if now >= beat:
                self.send(frame_pb2.AgentFrame())
                beat = now + self._heartbeat_seconds * random.uniform(0.9, 1.1)
            message = self._next(min(beat - now, 0.05))
            on_pause()
            if message is None:
                continue
            heard = time.monotonic()
            if message.WhichOneof("message") != "frame":
                continue
            if message.frame.HasField("settings"):
                self._take_settings(message.frame.settings)
            if message.frame.HasField("drain"):
                self._drain_seconds = message.frame.drain.reconnect_after.ToNanoseconds() / 1e9
            on_frame(message.frame)

    def send(self, frame):
        frame.sent_time.GetCurrentTime()
        self._outgoing.put(agent_service_pb2.AgentStreamRequest(frame=frame))

    def send_inventory(self, updates, engine_state=frame_pb2.ENGINE_STATE_UNSPECIFIED):
        """Sends steps in as many frames as they need."""
        frame = frame_pb2.AgentFrame(engine_state=engine_state)
        size = 64
        for update in updates:
            if size + update.ByteSize() + 8 > self.welcome.max_frame_bytes:
                self.send(frame)
                frame, size = frame_pb2.AgentFrame(), 64
            frame.inventory.append(update)
            size += update.ByteSize() + 8
        self.send(frame)

    # What `Commands` needs of the session of the moment.

    def accepted(self, command_id, attempt):
        acceptance = command_pb2.Acceptance(command_id=command_id, attempt=attempt)
        self.send(frame_pb2.AgentFrame(acceptances=[acceptance]))

    def ended(self, result):
        if result.ByteSize() + 64 <= self.welcome.max_frame_bytes:
            self.send(frame_pb2.AgentFrame(results=[result]))
            return
        data = result.SerializeToString()
        starts = range(0, len(data), PART_BYTES)
        for index, start in enumerate(starts):
            part = command_pb2.ResultPart(
                command_id=result.command_id,
                index=index,
                last=index == len(starts) - 1,
                data=data[start : start + PART_BYTES],
            )
            self.send(frame_pb2.AgentFrame(result_parts=[part]))

    def changed(self, container):
        """A container stopped: the delta for the inventory, and the fact for the events."""
        event = inventory_pb2.HostEvent()
        event.event_time.GetCurrentTime()
        event.container.action = inventory_pb2.CONTAINER_ACTION_DIED
        event.container.container_id = container.id
        event.container.container_name = container.name
        event.container.image = container.image
        event.container.exit_code = container.exit_code
        frame = frame_pb2.AgentFrame(host_events=[event])
        frame.inventory.add().container.CopyFrom(container)
        self.send(frame)


def ended_by(error):
    """Reads the reason out of the trailer that carries google.rpc.Status."""
    reason, retry_after = "", 0.0
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Unpack(info) and info.domain == "fairlead.dev":
                reason = info.reason
            elif detail.Unpack(retry):
                retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    return SessionEnded(error.code().name, reason, error.details(), retry_after)
