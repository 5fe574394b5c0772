"""Whose work a step is: the request that it serves, and the thing that it touches.

Both are context variables, so that child tasks and timers inherit them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LANE: ContextVar[str | None] = ContextVar("lane", default=None)
SUBJECT: ContextVar[str | None] = ContextVar("subject", default=None)


@contextmanager
def lane(name: str) -> Iterator[None]:
    """Everything started inside belongs to this request."""
    token = LANE.set(name)
    try:
        yield
    finally:
        LANE.reset(token)


@contextmanager
def subject(name: str) -> Iterator[None]:
    """Everything started inside touches this thing, a volume or a connection: steps of equal subjects may race."""
    token = SUBJECT.set(name)
    try:
        yield
    finally:
        SUBJECT.reset(token)
