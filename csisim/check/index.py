"""A history, put in order once: calls with their intervals, the phases, what each call was about."""

import bisect
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

from csisim.events import Event, Kind

View = TypeVar("View")

Effect = Literal["yes", "no", "maybe"]

FOREVER: Final = sys.maxsize
"""The number of an event that never comes."""
INDETERMINATE: Final = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL"})
"""Codes that leave open whether the effect has happened, or will."""

_PAIRED: Final = frozenset({"call", "rpc", "nas", "mount", "lock", "data", "intent"})


@dataclass(eq=False)
class Call:
    """Something that begins and ends: a call, a lock that is held, an intent.

    Attributes:
        invoke: its first event.
        done: its last; None for one that never ended.
        effect: whether what it does has happened; maybe: nobody knows, and it may happen at any later time.
        injected: a rule at the call's own site gave or changed the answer.
        kind: of its events.
        f: its name.
        id: the same for all its events.
        process: who makes it, or serves it.
        parent: the call for which it was made.
        begin: number of its first event.
    """

    invoke: Event
    done: Event | None = None
    effect: Effect = "maybe"
    injected: bool = False
    kind: Kind = field(init=False)
    f: str = field(init=False)
    id: str = field(init=False)
    process: str = field(init=False)
    parent: str = field(init=False)
    begin: int = field(init=False)
    _request: Mapping[str, Any] | None = field(default=None, init=False)
    _response: Mapping[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # Kept here, because checks ask thousands of times.
        first = self.invoke
        self.kind, self.f, self.id, self.begin = first.kind, first.f, first.call, first.seq
        self.process, self.parent = first.process, first.parent

    @property
    def end(self) -> int:
        """Number of its last event; FOREVER where there is none."""
        return FOREVER if self.done is None else self.done.seq

    @property
    def begin_s(self) -> float:
        """Loop time."""
        return self.invoke.at_s

    @property
    def end_s(self) -> float:
        """Loop time; infinite where it never ended."""
        return float("inf") if self.done is None else self.done.at_s

    @property
    def settled(self) -> int:
        """The number of the event after which it cannot take effect any more."""
        return FOREVER if self.effect == "maybe" else self.end

    # Both are kept, without the lock of cached_property: values may be described when they are looked at.

    @property
    def request(self) -> Mapping[str, Any]:
        """What was asked."""
        if self._request is None:
            self._request = value_of(self.invoke)
        return self._request

    @property
    def response(self) -> Mapping[str, Any]:
        """What was answered; empty without an answer."""
        if self._response is None:
            if self.done is None:
                return {}
            self._response = value_of(self.done)
        return self._response

    @property
    def ok(self) -> bool:
        """Whether it was answered with success."""
        return self.done is not None and self.done.type == "ok"

    @property
    def code(self) -> str:
        """Status code of the answer; "" without one."""
        if self.done is None:
            return ""
        return "OK" if self.done.type == "ok" else str(self.response.get("code", ""))

    @property
    def events(self) -> tuple[int, ...]:
        """The numbers of its events."""
        return (self.begin,) if self.done is None else (self.begin, self.done.seq)

    def overlaps(self, other: "Call") -> bool:
        """Whether both were under way at one time."""
        return self.begin < other.end and other.begin < self.end


def value_of(event: Event) -> Mapping[str, Any]:
    """An event's value as plain data."""
    return event.value() if callable(event.value) else event.value


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a run: safety, heal, liveness, end. `end` is FOREVER for the last one."""

    name: str
    begin: int
    end: int
    begin_s: float


@dataclass
class Index:
    """What checks ask a history. Built once, in time proportional to the number of events; see `index`.

    Attributes:
        events: all of them.
        calls: by kind, in the order in which they began.
        surplus: completions of calls that had one already, or that never began.
        truth: what really happened, in order.
        world: what was done to the whole, in order.
        state: what was found when somebody looked, in order.
        faults: events of faults that fired, in order.
        phases: in order.
        whole: the history begins with its first event, so nothing was forgotten.
    """

    events: Sequence[Event]
    calls: dict[Kind, list[Call]] = field(default_factory=lambda: defaultdict(list))
    surplus: list[Event] = field(default_factory=list)
    truth: list[Event] = field(default_factory=list)
    world: list[Event] = field(default_factory=list)
    state: list[Event] = field(default_factory=list)
    faults: list[Event] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    whole: bool = True
    _by_id: dict[tuple[Kind, str], Call] = field(default_factory=dict)
    _views: dict[Callable[["Index"], Any], Any] = field(default_factory=dict)

    def derived(self, make: Callable[["Index"], View]) -> View:
        """Another view of the same history, made once."""
        if make not in self._views:
            self._views[make] = make(self)
        found: View = self._views[make]
        return found

    @property
    def end_s(self) -> float:
        """Loop time of the last event."""
        return self.events[-1].at_s if self.events else 0.0

    @property
    def ended(self) -> bool:
        """Whether the run came to its end, so that what is missing now is missing for good."""
        return any(phase.name == "end" for phase in self.phases)

    def phase(self, name: str) -> Phase | None:
        """The last phase of this name."""
        return next((phase for phase in reversed(self.phases) if phase.name == name), None)

    def call(self, kind: Kind, id_: str) -> Call | None:
        """A call by its id."""
        return self._by_id.get((kind, id_))

    @cached_property
    def steps(self) -> list[Call]:
        """The CSI calls as they were served; without a view of the driver, as their callers saw them."""
        return self.calls.get("rpc") or self.calls.get("call") or []

    @cached_property
    def answers(self) -> list[Call]:
        """The CSI calls as their callers saw them; without callers, as they were served."""
        return self.calls.get("call") or self.calls.get("rpc") or []

    @cached_property
    def _fault_numbers(self) -> list[int]:
        return [event.seq for event in self.faults]

    def disturbed(self, call: Call) -> bool:
        """Whether any fault fired while it was under way."""
        return bisect.bisect_left(self._fault_numbers, call.begin) < bisect.bisect_right(self._fault_numbers, call.end)

    def interrupted(self, begin: int, end: int, *what: str) -> bool:
        """Whether a process crashed or a machine was rebooted between two events; `what` of the crash, any without."""
        for event in self.world:
            if begin <= event.seq <= end and event.f in {"crash", "reboot"}:
                crashed = "reboot" if event.f == "reboot" else str(value_of(event).get("what", ""))
                if not what or crashed in what:
                    return True
        return False

    def rpc_of(self, call: Call | Event) -> Call | None:
        """The served call for which something was done, however indirectly."""
        parent = call.parent
        for _ in range(4):
            if not parent:
                return None
            found = self._by_id.get(("rpc", parent))
            if found is not None:
                return found
            between = self._by_id.get(("nas", parent)) or self._by_id.get(("mount", parent))
            parent = between.parent if between is not None else ""
        return None


def index(events: Sequence[Event]) -> Index:
    """Put a history in order.

    Args:
        events: in the order of their numbers.
    """
    found = Index(events, whole=not events or events[0].seq == 1)
    open_: dict[tuple[Kind, str, str], Call] = {}
    closed: set[tuple[Kind, str, str]] = set()
    for event in events:
        if event.kind in _PAIRED:
            _pair(found, event, open_, closed)
        elif event.kind == "truth":
            found.truth.append(event)
        elif event.kind == "state":
            found.state.append(event)
        elif event.kind == "fault":
            found.faults.append(event)
        else:
            found.world.append(event)
            if event.f == "phase":
                _begin_phase(found, event)
    _mark_injected(found)
    return found


def _pair(found: Index, event: Event, open_: dict[tuple[Kind, str, str], Call], closed: set[Any]) -> None:
    key = (event.kind, event.call, event.f)
    if event.type == "invoke":
        call = Call(event)
        open_[key] = call
        found.calls[event.kind].append(call)
        found._by_id[event.kind, event.call] = call  # noqa: SLF001 - built here
        return
    begun = open_.pop(key, None)
    if begun is None:
        if event.kind == "lock" and event.type == "fail":
            return  # refused: it was never held
        # What began before a cut history was cut ends without a beginning.
        if key in closed or found.whole:
            found.surplus.append(event)
        return
    closed.add(key)
    begun.done = event
    begun.effect = _effect(begun)


def _effect(call: Call) -> Effect:
    if call.ok:
        return "yes"
    if call.kind == "rpc":
        return "maybe" if call.code in INDETERMINATE else "no"
    return "no" if call.done is not None and call.done.type == "fail" else "maybe"


def _begin_phase(found: Index, event: Event) -> None:
    if found.phases:
        last = found.phases[-1]
        found.phases[-1] = Phase(last.name, last.begin, event.seq, last.begin_s)
    found.phases.append(Phase(str(value_of(event).get("phase", "")), event.seq, FOREVER, event.at_s))


def _mark_injected(found: Index) -> None:
    """An answer that a rule gave says nothing about the driver, and after the work nothing about the effect."""
    for event in found.faults:
        if not event.f.startswith("rpc."):
            continue
        # Where only callers were watched, a proxy's fault is of the call that it hit.
        call = found.call("rpc" if found.calls.get("rpc") else "call", event.parent)
        if call is not None:
            call.injected = True
            if event.f.endswith(".after") and not call.ok:
                call.effect = "maybe"
