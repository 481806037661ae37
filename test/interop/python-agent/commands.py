"""Commands, by the rules of docs/protocol.md "Commands": journaled, at most once, answered until acknowledged."""

import os

from fairlead.agent.v1 import command_pb2, operation_pb2, operation_traits_pb2

from fairlead.container.v1 import container_pb2

from fake_engine import EXITED, EngineFailure

RETRYABLE = {"ENGINE_UNAVAILABLE", "AGENT_BUSY"}
OPERATIONS = ("inspect_container", "stop_container")


def mutates(name):
    field = operation_pb2.Operation.DESCRIPTOR.fields_by_name[name]
    return field.GetOptions().Extensions[operation_traits_pb2.traits].mutates


def check(expected, seen):
    """Refuses to act on a container that is not what the caller believes."""
    state = container_pb2.ContainerState.Name(seen.state)
    differing = {}
    if expected.expected_image_digest not in ("", seen.image_id):
        differing["seen_image_digest"] = seen.image_id
    if expected.HasField("expected_started_time") and expected.expected_started_time != seen.started_time:
        differing["seen_started_time"] = seen.started_time.ToJsonString()
    if expected.expected_state not in (container_pb2.CONTAINER_STATE_UNSPECIFIED, seen.state):
        differing["seen_state"] = state
    if differing:
        raise EngineFailure("PRECONDITION_FAILED", f"{seen.name} is not as expected", **differing)


class Commands:
    """`outlet` is the session of the moment: `accepted(id, attempt)`, `ended(result)`, `changed(container)`."""

    def __init__(self, engine, journal, log, crash_at):
        self._engine = engine
        self._journal = journal
        self._log = log
        self._crash_at = crash_at
        self._largest_epoch = 0

    def begin_session(self, epoch):
        self._largest_epoch = max(self._largest_epoch, epoch)

    def settle_interrupted(self):
        """Ends what an earlier process left in the middle, by looking. Nothing is run again."""
        for row in self._journal.running():
            operation = operation_pb2.Operation.FromString(row["operation"])
            result = command_pb2.CommandResult(command_id=row["id"], attempt=row["attempt"])
            try:
                stopped = self._engine.find(operation.stop_container.container)
                took_effect = stopped.state == EXITED
            except EngineFailure:
                took_effect = False
            if took_effect:
                result.outcome.changed = True
            else:
                result.failure.reason = "OUTCOME_UNKNOWN"
                result.failure.message = "the agent was interrupted, and what was asked for is not so"
            result.ended_time.GetCurrentTime()
            self._journal.finish(row["id"], result.SerializeToString(), False)
            self._log("settled", command_id=row["id"], reason=result.failure.reason)

    def take(self, command, outlet):
        name = command.operation.WhichOneof("operation")
        if command.session_epoch < self._largest_epoch:
            outlet.ended(self._failure(command, "STALE_EPOCH", "the session of this command was superseded"))
        elif name not in OPERATIONS:
            outlet.ended(self._failure(command, "OPERATION_UNSUPPORTED", f"this agent does not know {name}"))
        elif not mutates(name):
            outlet.ended(self._run(command, name, outlet))
        else:
            self._take_journaled(command, name, outlet)

    def _take_journaled(self, command, name, outlet):
        known = self._journal.find(command.command_id)
        again = known is not None and known["retryable"] and command.attempt > known["attempt"]
        if known is not None and not again:
            if known["result"] is not None:
                outlet.ended(command_pb2.CommandResult.FromString(known["result"]))
            elif known["acknowledged"]:
                outlet.ended(self._failure(command, "OUTCOME_UNKNOWN", "its result was acknowledged and forgotten"))
            else:
                outlet.accepted(command.command_id, command.attempt)
            return
        self._journal.begin(command.command_id, command.attempt, command.operation.SerializeToString())
        outlet.accepted(command.command_id, command.attempt)
        self._crash("accepted")
        result = self._run(command, name, outlet)
        retryable = result.failure.reason in RETRYABLE
        self._journal.finish(command.command_id, result.SerializeToString(), retryable)
        self._crash("recorded")
        outlet.ended(result)

    def _run(self, command, name, outlet):
        self._log("runs", command_id=command.command_id, operation=name, attempt=command.attempt)
        result = command_pb2.CommandResult(command_id=command.command_id, attempt=command.attempt)
        result.started_time.GetCurrentTime()
        try:
            if name == "inspect_container":
                container, text = self._engine.inspect(command.operation.inspect_container.container)
                result.outcome.inspection.container.CopyFrom(container)
                result.outcome.inspection.engine_json = text
            else:
                reference = command.operation.stop_container.container
                check(command.preconditions, self._engine.find(reference))
                container, result.outcome.changed = self._engine.stop(reference)
                result.outcome.container.CopyFrom(container)
                if result.outcome.changed:
                    outlet.changed(container)
        except EngineFailure as failure:
            result.failure.reason = failure.reason
            result.failure.message = failure.message
            result.failure.metadata.update(failure.metadata)
        result.ended_time.GetCurrentTime()
        return result

    def _failure(self, command, reason, message):
        result = command_pb2.CommandResult(command_id=command.command_id, attempt=command.attempt)
        result.failure.reason = reason
        result.failure.message = message
        result.ended_time.GetCurrentTime()
        return result

    def _crash(self, moment):
        """For tests: ends as a pulled plug would."""
        if moment == self._crash_at:
            self._log("crashes", moment=moment)
            os._exit(70)
