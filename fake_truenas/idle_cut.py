"""The proxy before a TrueNAS gives up on a connection over which its server says nothing (nginx, 60 s in 25.10)."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """What `call_at` gives."""

    def cancel(self) -> None:
        """Have it not happen."""


class Loop(Protocol):
    """As much of an event loop as is needed."""

    def time(self) -> float:
        """Monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call at a time."""


class IdleCut:
    """Calls `cut` once nothing was written for `timeout_s`. One timer, which is not touched by writing."""

    def __init__(self, loop: Loop, timeout_s: float, cut: Callable[[], None]) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._cut = cut
        self._written_at = loop.time()
        self._timer: Timer | None = loop.call_at(self._written_at + timeout_s, self._look)

    def written(self) -> None:
        """The server has sent something, if only a pong."""
        self._written_at = self._loop.time()

    def stop(self) -> None:
        """The connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        due = self._written_at + self._timeout_s
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._timer = None
            self._cut()
