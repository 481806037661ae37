"""Containers that exist only in memory, with the words of a real engine."""

import json

from fairlead.container.v1 import container_pb2

RUNNING = container_pb2.CONTAINER_STATE_RUNNING
EXITED = container_pb2.CONTAINER_STATE_EXITED


class EngineFailure(Exception):
    def __init__(self, reason, message, **metadata):
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


class FakeEngine:
    def __init__(self, engine_id, names):
        self.id = engine_id
        self.available = True
        self._containers = {}
        for number, name in enumerate(names):
            container = container_pb2.Container(
                id=f"{number + 1:064x}", name=name, image="fake:latest", state=RUNNING, labels={"made-by": "python"}
            )
            container.started_time.GetCurrentTime()
            self._containers[container.id] = container

    def list(self):
        return list(self._containers.values())

    def find(self, reference):
        if not self.available:
            raise EngineFailure("ENGINE_UNAVAILABLE", "the engine is switched off")
        matches = [c for c in self.list() if c.id == reference or c.name == reference]
        matches = matches or [c for c in self.list() if c.id.startswith(reference)]
        if not matches:
            raise EngineFailure("CONTAINER_NOT_FOUND", f"No such container: {reference}")
        if len(matches) > 1:
            raise EngineFailure("CONTAINER_AMBIGUOUS", f"{reference} is a prefix of several ids")
        return matches[0]

    def inspect(self, reference):
        container = self.find(reference)
        # Longer than a frame, so that the result has to travel in parts.
        log = "x" * 200_000
        return container, json.dumps({"Id": container.id, "Name": "/" + container.name, "Padding": log})

    def stop(self, reference):
        """Whether anything changed."""
        container = self.find(reference)
        if container.state != RUNNING:
            return container, False
        container.state = EXITED
        container.exit_code = 137
        container.finished_time.GetCurrentTime()
        return container, True
