"""The caller's deadline, carried down to every NAS call in a context variable, on loop time.

Child tasks inherit it, so a parallel step cannot outlive the time its RPC was given.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Set the deadline `seconds` from now for everything called inside; None leaves it unbounded.

    An outer deadline that ends sooner stays in force.
    """
    if seconds is None:
        yield
        return
    mine = asyncio.get_running_loop().time() + seconds
    outer = _deadline.get()
    token = _deadline.set(mine if outer is None else min(outer, mine))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining_s(at_most_s: float) -> float:
    """Seconds left until the deadline, never negative, and never more than `at_most_s`."""
    ends = _deadline.get()
    if ends is None:
        return at_most_s
    return max(0.0, min(at_most_s, ends - asyncio.get_running_loop().time()))
