"""Whose work a step is: the request that it serves, the thing that it touches, and how long it may be put off.

All are context variables, so that child tasks and timers inherit them.
"""

import math
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Generic, TypeVar

_T = TypeVar("_T")

LANE: ContextVar[str | None] = ContextVar("lane", default=None)
SUBJECT: ContextVar[str | None] = ContextVar("subject", default=None)
LONGEST_STALL_S: ContextVar[float] = ContextVar("longest stall", default=math.inf)


class _Within(Generic[_T]):
    """Sets a variable for everything inside. No generator: calls enter it, and would pay several times as much."""

    __slots__ = ("_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[_T], value: _T) -> None:
        self._variable = variable
        self._value = value
        self._token: Token[_T]

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(self, *_error: object) -> None:
        self._variable.reset(self._token)


def lane(name: str) -> AbstractContextManager[None]:
    """Everything started inside belongs to this request."""
    return _Within(LANE, name)


def subject(name: str) -> AbstractContextManager[None]:
    """Everything started inside touches this thing, a volume or a connection: steps of equal subjects may race."""
    return _Within(SUBJECT, name)


def prompt(longest_s: float) -> AbstractContextManager[None]:
    """No step of what is started inside is stalled for longer, in seconds."""
    return _Within(LONGEST_STALL_S, longest_s)
