"""What happened, in order: calls that begin and end, and faults.

As in Jepsen, each call is an invoke and then an ok (it happened), a fail (it did not) or an info (nobody knows).

One event as JSON, which is the stable form:

    {"seq": 7, "at_s": 1.25, "type": "invoke", "kind": "rpc", "f": "CreateVolume", "call": "c3", "process": "node-1",
     "value": {...}}

`seq` counts up by one, `at_s` is loop time in seconds. `kind` is rpc, nas, mount or fault; `call` is the same for the
events of one call; `parent` is the call within which this one was made; `value` never has a secret in it.
"""

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Type = Literal["invoke", "ok", "fail", "info"]
Kind = Literal["rpc", "nas", "mount", "fault"]


@dataclass(frozen=True, slots=True)
class Event:
    """See the module."""

    seq: int
    at_s: float
    type: Type
    kind: Kind
    f: str
    call: str = ""
    process: str = ""
    parent: str = ""
    value: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The stable form; empty members are left out."""
        shown: dict[str, Any] = {"seq": self.seq, "at_s": round(self.at_s, 6), "type": self.type, "kind": self.kind,
                                 "f": self.f}  # fmt: skip
        shown |= {key: value for key in ("call", "process", "parent") if (value := getattr(self, key))}
        if self.value:
            shown["value"] = dict(self.value)
        return shown


class History:
    """The last events, and whoever listens to new ones.

    Args:
        now: seconds; loop time.
        limit: how many events are kept; None keeps all.
    """

    def __init__(self, now: Callable[[], float], *, limit: int | None = 100_000) -> None:
        self._now = now
        self._events: deque[Event] = deque(maxlen=limit)
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
        value: Mapping[str, Any] | None = None,
    ) -> Event:
        """Note an event now."""
        self._seq += 1
        event = Event(self._seq, self._now(), type_, kind, f, call, process, parent, value or {})
        self._events.append(event)
        for listener in tuple(self._listeners):
            listener(event)
        return event

    def since(self, seq: int = 0) -> list[Event]:
        """The kept events after this number, oldest first."""
        if not self._events or seq >= self._seq:
            return []
        skip = max(0, seq - self._events[0].seq + 1)
        return list(itertools.islice(self._events, skip, None))

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Have a function called with each new event; gives the function that ends this."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)
