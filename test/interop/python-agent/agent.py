"""An agent for Fairlead in Python, written from docs/protocol.md and the schema alone. It manages containers that exist
only in memory, and knows two operations: inspect and stop. What happens is told on standard output, one JSON a line;
on standard input "die <name>" ends a container as if its process had, and "engine off" and "engine on" take the engine
away and give it back.

Exit codes: 0 asked to stop, 3 the control plane refused for good.
"""

import argparse
import json
import os
import platform
import queue
import random
import sys
import threading
import time

import grpc

from fairlead.agent.v1 import command_pb2, frame_pb2, handshake_pb2, inventory_pb2

from commands import OPERATIONS, Commands
from fake_engine import FakeEngine
from identity import Identity
from journal import Journal
from session import Session, SessionEnded

VERSION = "python-0.1"
TERMINAL = {
    "UNAUTHENTICATED",
    "AGENT_REVOKED",
    "ENGINE_CHANGED",
    "IDENTITY_IN_USE",
    "ENGINE_ALREADY_ENROLLED",
    "HOST_NAME_IN_USE",
    "HOST_NAME_REQUIRED",
    "PROTOCOL_UNSUPPORTED",
    "INVALID_ARGUMENT",
    "PROTOCOL_VIOLATION",
}
KEEPALIVE = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]


def log(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Quit(Exception):
    """Somebody asked the agent to stop."""


class Agent:
    def __init__(self, options):
        self._options = options
        self._identity = Identity(options.data)
        self._journal = Journal(options.data)
        self._engine = FakeEngine(options.engine_id, options.containers.split(","))
        self._commands = Commands(self._engine, self._journal, log, options.crash_at)
        self._instance_id = os.urandom(16)
        self._orders = queue.Queue()
        threading.Thread(target=self._read_orders, daemon=True).start()

    def _read_orders(self):
        for line in sys.stdin:
            self._orders.put(line.split())
        self._orders.put(["quit"])

    def run(self):
        """One session after the other, farther and farther apart while they fail. Returns the exit code."""
        self._commands.settle_interrupted()
        failures = 0
        while True:
            began = time.monotonic()
            try:
                return self._hold_session()
            except SessionEnded as end:
                log("ended", reason=end.reason, message=str(end))
                if end.reason in TERMINAL:
                    return 3
                if time.monotonic() - began >= 30:
                    failures = 0
                time.sleep(max(end.retry_after, random.uniform(0, min(30.0, 0.2 * 2**failures))))
                failures += 1

    def _dial(self):
        """Over TLS by the one authority to trust. A real agent takes it from the server and compares it with the digest in its token."""
        with open(self._options.ca, "rb") as authority:
            credentials = grpc.ssl_channel_credentials(root_certificates=authority.read())
        return grpc.secure_channel(self._options.server, credentials, options=KEEPALIVE)

    def _hold_session(self):
        with self._dial() as channel:
            session = Session(channel)
            try:
                self._serve(session)
            except Quit:
                return 0
            finally:
                session.close()

    def _serve(self, session):
        welcome = session.shake_hands(self._signed_hello)
        self._identity.keep_agent_id(welcome.agent_id)
        self._journal.acknowledge(welcome.acknowledged_command_ids)
        self._commands.begin_session(welcome.session_epoch)
        log("online", agent_id=welcome.agent_id, host=welcome.host_name, epoch=welcome.session_epoch)
        self._report_engine(session)
        for row in self._journal.held():
            session.ended(command_pb2.CommandResult.FromString(row["result"]))
        session.run(
            on_frame=lambda frame: self._take(frame, session),
            on_pause=lambda: self._obey(session),
        )

    def _signed_hello(self, nonce):
        hello = handshake_pb2.Hello(
            host_facts=handshake_pb2.HostFacts(
                engine_id=self._engine.id,
                hostname=platform.node()[:255],
                operating_system=platform.system(),
                kernel_version=platform.release(),
                architecture=platform.machine(),
                engine_version="python-fake",
                cpu_count=os.cpu_count(),
                simulated=True,
            ),
            agent_version=VERSION,
            protocol_version=1,
            capabilities=OPERATIONS,
            instance_id=self._instance_id,
            journal_id=self._journal.id,
            running_command_ids=[row["id"] for row in self._journal.running()],
            held_result_command_ids=[row["id"] for row in self._journal.held()],
        )
        if self._identity.agent_id:
            hello.reconnection.agent_id = self._identity.agent_id
        else:
            hello.registration.token = self._options.token
            hello.registration.public_key = self._identity.public_key
            hello.registration.display_name = self._options.name
        data = hello.SerializeToString()
        return handshake_pb2.SignedHello(hello=data, signature=self._identity.sign_hello(nonce, data))

    def _report_engine(self, session):
        """Its state, and a snapshot when it can be looked at."""
        if self._engine.available:
            session.send_inventory(self._snapshot(), frame_pb2.ENGINE_STATE_AVAILABLE)
        else:
            session.send(frame_pb2.AgentFrame(engine_state=frame_pb2.ENGINE_STATE_UNAVAILABLE))

    def _snapshot(self):
        containers = self._engine.list()
        yield inventory_pb2.InventoryUpdate(snapshot_begin=inventory_pb2.SnapshotBegin())
        for container in containers:
            yield inventory_pb2.InventoryUpdate(container=container)
        yield inventory_pb2.InventoryUpdate(
            snapshot_end=inventory_pb2.SnapshotEnd(container_count=len(containers))
        )

    def _take(self, frame, session):
        self._journal.acknowledge(frame.acknowledged_command_ids)
        # Commands run one after the other here, so that one that is cancelled has ended already.
        for command in frame.commands:
            self._commands.take(command, session)

    def _obey(self, session):
        while not self._orders.empty():
            match self._orders.get():
                case ["die", name]:
                    session.changed(self._engine.stop(name)[0])
                case ["engine", switch]:
                    self._engine.available = switch == "on"
                    self._report_engine(session)
                case ["quit"]:
                    raise Quit


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="host:port of the agents' listener")
    parser.add_argument("--ca", required=True, help="the certificate of the authority to trust, PEM")
    parser.add_argument("--data", required=True, help="folder for identity and journal")
    parser.add_argument("--token", default="", help="registration token, for the first contact")
    parser.add_argument("--name", default="", help="display name to ask for")
    parser.add_argument("--engine-id", required=True)
    parser.add_argument("--containers", default="web,db", help="names, separated by commas")
    parser.add_argument("--crash-at", choices=["accepted", "recorded"], help="for tests: where to end at once")
    options = parser.parse_args()
    os.makedirs(options.data, mode=0o700, exist_ok=True)
    return Agent(options).run()


if __name__ == "__main__":
    sys.exit(main())
