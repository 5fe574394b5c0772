"""The caller's deadline, carried down to every NAS call in a context variable, on loop time.

Child tasks inherit it, so a parallel step cannot outlive the time its RPC was given.
"""

import asyncio
from contextvars import ContextVar, Token

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class within:  # noqa: N801 - used as a function; a generator would cost each call several times as much
    """Set the deadline `seconds` from now for everything called inside; None leaves it unbounded.

    An outer deadline that ends sooner stays in force.
    """

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._token: Token[float | None] | None = None

    def __enter__(self) -> None:
        if self._seconds is not None:
            mine = asyncio.get_running_loop().time() + self._seconds
            outer = _deadline.get()
            self._token = _deadline.set(mine if outer is None else min(outer, mine))

    def __exit__(self, *_error: object) -> None:
        if self._token is not None:
            _deadline.reset(self._token)


def remaining_s(at_most_s: float) -> float:
    """Seconds left until the deadline, never negative, and never more than `at_most_s`."""
    ends = _deadline.get()
    if ends is None:
        return at_most_s
    return max(0.0, min(at_most_s, ends - asyncio.get_running_loop().time()))
