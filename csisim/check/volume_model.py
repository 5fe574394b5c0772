"""What a CSI driver promises per volume, as a model for `csisim.check.linearizability`.

CSI itself does not promise that calls take effect one at a time; csisim does, for each volume with its publications,
its snapshots and what nodes have of it. Idempotent repeats are legal. A definite error changes nothing, and its code
must fit the state: NOT_FOUND where there is nothing, ALREADY_EXISTS where something else is there, FAILED_PRECONDITION
where a volume is in use. Codes that depend on the world outside, such as RESOURCE_EXHAUSTED, fit everywhere.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from csisim.check.index import Index
from csisim.check.linearizability import DEFAULT_BUDGET, Failure, Model, Operation, check
from csisim.check.verdicts import Result, Violation
from csisim.check.volume_operations import as_index, operations_of
from csisim.check.volume_refusals import REFUSALS
from csisim.check.volume_rules import RULES
from csisim.check.volume_state import State
from csisim.events import Event

__all__ = ["State", "VolumeModel", "check_volumes", "operations_of"]

NAME: Final = "linearizability"
_WHY: Final = "The operations on a volume must look as if they took effect one at a time, each between call and answer."
_READS: Final = frozenset(
    {"ControllerGetVolume", "ControllerGetVolumeHealth", "ValidateVolumeCapabilities", "GetSnapshot",
     "ControllerModifyVolume", "NodeGetVolumeStats", "NodeExpandVolume"}
)  # fmt: skip
_ON_NODE: Final = frozenset({"NodeStageVolume", "NodeUnstageVolume", "NodePublishVolume", "NodeUnpublishVolume"})
# Answered before anything is touched. On a node, others come from the middle of the work as well, such as ABORTED for
# what is in use.
_UNTOUCHED: Final = frozenset({"ALREADY_EXISTS", "INVALID_ARGUMENT", "UNIMPLEMENTED", "UNAUTHENTICATED"})
_UNCREATED: Final = _UNTOUCHED | {"ABORTED", "NOT_FOUND", "PERMISSION_DENIED"}


class VolumeModel(Model[State]):
    """See the module. `Operation.value` is an `Asked`, `Operation.result` an `Answered`."""

    def init(self) -> State:
        """No volume."""
        return State()

    def partition(self, operation: Operation) -> str:
        """The volume's name."""
        return str(operation.value.volume)

    def pure(self, operation: Operation) -> bool:
        """Reads, and refusals that certainly left nothing behind."""
        if operation.f in _READS:
            return True
        if operation.pending or operation.type != "fail":
            return False
        return not _may_leave_something(operation)

    def step(self, state: State, operation: Operation) -> Iterable[State]:
        """The states that may follow."""
        asked, answered = operation.value, operation.result
        if not operation.pending and operation.type == "fail":
            return () if _objection(state, operation) else _after_refusal(state, operation)
        rule = RULES.get(operation.f)
        if rule is None:
            return (state,)
        objection, effect = rule
        told = None if operation.pending else answered
        return () if objection(state, asked, told) else (effect(state, asked, told),)

    def alike(self, operation: Operation) -> tuple[str, object]:
        """Who asks makes no difference."""
        return operation.f, operation.value

    def describe(self, state: State) -> str:
        """For people."""
        volume = state.volume
        parts = ["the volume does not exist"]
        if volume is not None:
            size = str(volume.low_bytes) if volume.low_bytes == volume.high_bytes else f"at least {volume.low_bytes}"
            parts = [f"the volume exists with {size} bytes"]
            parts += [f"published on {node}" for node, _, _ in volume.published]
            parts += [f"snapshot {name}" for name, _ in volume.snapshots]
        for each in state.nodes:
            parts += [f"staged on {each.node} at {each.staging}"] if each.staging else []
            parts += [f"published there at {path}" for path, _ in each.targets]
        return ", ".join(parts)

    def explain(self, state: State, operation: Operation) -> str:
        """What the answer contradicts."""
        return _objection(state, operation)


def _objection(state: State, operation: Operation) -> str:
    """Why an answer is impossible in a state; "" where it is possible."""
    asked, answered = operation.value, operation.result
    if operation.type == "fail":
        if answered.excused:
            return ""
        refusal = REFUSALS.get((operation.f, answered.code))
        return refusal(state, asked) if refusal else ""
    rule = RULES.get(operation.f)
    return rule[0](state, asked, None if operation.pending else answered) if rule else ""


def _may_leave_something(operation: Operation) -> bool:
    code = operation.result.code
    return (operation.f in _ON_NODE and code not in _UNTOUCHED) or (
        operation.f == "CreateVolume" and code not in _UNCREATED
    )


def _after_refusal(state: State, operation: Operation) -> tuple[State, ...]:
    """A node may have done part of the work, and a refused creation takes back what an interrupted one had left."""
    if not _may_leave_something(operation):
        return (state,)
    if operation.f == "CreateVolume":
        unconfirmed = state.volume is not None and not state.volume.confirmed
        return (state, State(None, state.nodes)) if unconfirmed else (state,)
    objection, effect = RULES[operation.f]
    if objection(state, operation.value, None):
        return (state,)
    after = effect(state, operation.value, None)
    return (state,) if after == state else (state, after)


def check_volumes(events: Index | Sequence[Event], budget: int = DEFAULT_BUDGET) -> Result:
    """Whether the calls of a history have an order, volume by volume.

    Volumes that nobody creates in this history are passed over: what they were before is not known.

    Args:
        events: a history from its beginning on.
        budget: see `csisim.check.linearizability.check`; for each volume.
    """
    history = as_index(events)
    if not history.whole:
        return Result(NAME, 0, unknown="the beginning of the history is missing: nobody knows what there was before")
    operations = operations_of(history)
    created = {each.value.volume for each in operations if each.f == "CreateVolume"}
    judged = [each for each in operations if each.value.volume in created]
    found = check(judged, VolumeModel(), budget=budget)
    undecided = ", ".join(str(each) for each in found.undecided[:5])
    unknown = f"more than {budget} steps for {len(found.undecided)} volumes: {undecided}" if undecided else ""
    return Result(NAME, len(judged), tuple(map(_violation, found.failures)), unknown)


def _violation(failure: Failure) -> Violation:
    first, reason = failure.stuck[0], failure.reasons[0]
    seen = sorted({seq for each in failure.stuck for seq in (each.invoked_seq, each.completed_seq) if seq})
    at_s = max(each.completed_s or each.invoked_s for each in failure.stuck)
    told = f"{first.f} by {first.process} was answered {first.result}"
    summary = f"Volume {failure.partition}: {told}, at {first.completed_s:g} s"
    summary += f", but {reason}." if reason else ", which no order of the calls explains."
    return Violation(NAME, summary, _WHY, tuple(seen), at_s, failure.text())
