"""Whose work a step is: the request that it serves, and the thing that it touches.

Both are context variables, so that child tasks and timers inherit them.
"""

from contextlib import AbstractContextManager
from contextvars import ContextVar, Token

LANE: ContextVar[str | None] = ContextVar("lane", default=None)
SUBJECT: ContextVar[str | None] = ContextVar("subject", default=None)


class _Within:
    """Sets a variable for everything inside. No generator: calls enter it, and would pay several times as much."""

    __slots__ = ("_name", "_token", "_variable")

    def __init__(self, variable: ContextVar[str | None], name: str) -> None:
        self._variable = variable
        self._name = name
        self._token: Token[str | None]

    def __enter__(self) -> None:
        self._token = self._variable.set(self._name)

    def __exit__(self, *_error: object) -> None:
        self._variable.reset(self._token)


def lane(name: str) -> AbstractContextManager[None]:
    """Everything started inside belongs to this request."""
    return _Within(LANE, name)


def subject(name: str) -> AbstractContextManager[None]:
    """Everything started inside touches this thing, a volume or a connection: steps of equal subjects may race."""
    return _Within(SUBJECT, name)
