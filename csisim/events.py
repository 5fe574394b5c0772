"""What happened, in order: calls that begin and end, and faults.

As in Jepsen, each call is an invoke and then an ok (it happened), a fail (it did not) or an info (nobody knows).

One event as JSON, which is the stable form:

    {"seq": 7, "at_s": 1.25, "type": "invoke", "kind": "rpc", "f": "CreateVolume", "call": "c3", "process": "node-1",
     "value": {...}}

`seq` counts up by one, `at_s` is loop time in seconds; `call` is the same for the events of one call; `parent` is the
call within which this one was made; `value` never has a secret in it. Kinds:

| kind | process | f | events |
|---|---|---|---|
| call | client-1, provisioner, kubelet node-1 | method | a CSI call as its caller saw it |
| rpc | node that serves, "" without one | method | the same as it was served |
| nas | nas | method | a call of the NAS; invoke has the parameters |
| mount | node | operation | what the driver asked of the machine |
| lock | controller, or node | key | invoke: taken, ok: freed, fail: refused |
| data | who writes or reads | write, read | a workload and the bytes of its volume |
| fault | node | site | a fault that fired |
| intent | user | present, absent | invoke: wanted, ok: it is so |
| truth | node, or nas | operation | what really happened there, below all faults |
| world | world | phase, crash, restart, reboot | what was done to the whole |
| state | world, or node | left, locks, listed, path | what was found when somebody looked |
"""

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

Type = Literal["invoke", "ok", "fail", "info"]
Kind = Literal["call", "rpc", "nas", "mount", "lock", "data", "fault", "intent", "truth", "world", "state"]


@dataclass(frozen=True, slots=True)
class Event:
    """See the module. `value` may be a function that gives it, so that what nobody reads costs nothing."""

    seq: int
    at_s: float
    type: Type
    kind: Kind
    f: str
    call: str = ""
    process: str = ""
    parent: str = ""
    value: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The stable form; empty members are left out."""
        shown: dict[str, Any] = {"seq": self.seq, "at_s": round(self.at_s, 6), "type": self.type, "kind": self.kind,
                                 "f": self.f}  # fmt: skip
        if self.call:
            shown["call"] = self.call
        if self.process:
            shown["process"] = self.process
        if self.parent:
            shown["parent"] = self.parent
        value = self.value() if callable(self.value) else self.value
        if value:
            shown["value"] = dict(value)
        return shown


class History:
    """The last events, and whoever listens to new ones.

    Args:
        now: seconds; loop time.
        limit: how many events are kept; None keeps all.

    Attributes:
        describe: gives plain data without secrets for a value that is something else, once it is looked at.
    """

    def __init__(self, now: Callable[[], float], *, limit: int | None = 100_000) -> None:
        self._now = now
        self.describe: Callable[[Any], Mapping[str, Any]] = dict
        # Raw, because few of them are ever looked at; and tuples of plain things and messages cost the garbage
        # collector nothing, however many there are.
        self._events: deque[tuple[Any, ...]] = deque(maxlen=limit)
        self._seq = 0
        self._calls = 0
        self._listeners: dict[Callable[[Event], None], None] = {}

    @property
    def last_seq(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._seq

    def new_call(self) -> str:
        """An id for a call, not used before in this history."""
        self._calls += 1
        return f"c{self._calls}"

    def add(
        self,
        type_: Type,
        kind: Kind,
        f: str,
        *,
        call: str = "",
        process: str = "",
        parent: str = "",
        value: Any = None,
    ) -> None:
        """Note an event now.

        Args:
            type_: what has become of the call.
            kind: of the call.
            f: its name.
            call: its id.
            process: where it runs.
            parent: the call within which it was made.
            value: plain data, or what `describe` makes such of, which must not change any more.
        """
        self._seq += 1
        raw = (self._seq, self._now(), type_, kind, f, call, process, parent, value)
        self._events.append(raw)
        if self._listeners:
            event = self._event(raw)
            for listener in tuple(self._listeners):
                listener(event)

    def since(self, seq: int = 0, limit: int | None = None, *, plain: bool = False) -> list[Event]:
        """The kept events after this number, oldest first; of many the first `limit`.

        Args:
            seq: the number.
            limit: how many at most.
            plain: describe their values now, for who is about to read them all.
        """
        if not self._events or seq >= self._seq:
            return []
        skip = max(0, seq - self._events[0][0] + 1)
        count = len(self._events) - skip
        if count > skip:
            end = None if limit is None else skip + limit
            return [self._event(raw, plain=plain) for raw in itertools.islice(self._events, skip, end)]
        # What is asked for is nearly always at the end, and only the nearer end is cheap to reach.
        newest = list(itertools.islice(reversed(self._events), count))
        newest.reverse()
        return [self._event(raw, plain=plain) for raw in newest[:limit]]

    def _event(self, raw: tuple[Any, ...], *, plain: bool = False) -> Event:
        seq, at_s, type_, kind, f, call, process, parent, value = raw
        if value is None:
            value = {}
        elif not isinstance(value, dict) and not isinstance(value, Mapping):  # the first is known in less time
            value = dict(self.describe(value)) if plain else partial(self.describe, value)
        return Event(seq, at_s, type_, kind, f, call, process, parent, value)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Have a function called with each new event; gives the function that ends this."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)
