"""What both protocols of the middleware have in common: text in, calls or answers out. Sans I/O, pure.

A `Framing` reads the text frames of one connection and writes its replies. `fake_truenas.jsonrpc` and
`fake_truenas.legacy` are the two there are; what serves them (`fake_truenas.connection`) knows no difference.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from fake_truenas.errors import ApiError


@dataclass(frozen=True, slots=True)
class Request:
    """A call. `id` has the JSON type that the caller used; with `wants_reply` False nothing may be answered."""

    method: str
    params: list[Any]
    id: Any
    wants_reply: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The text was no call, and this is all there is to say to it; None stays silent."""

    reply: bytes | None


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The text ends the connection, with this close code and reason."""

    code: int
    reason: str


class Framing(Protocol):
    """One protocol, for one connection."""

    def read(self, text: str) -> Request | Answer | Goodbye:
        """Read one text frame; never raises."""

    def result(self, request: Request, result: Any) -> bytes:
        """The reply to a call that succeeded.

        Raises:
            TypeError: the result has no JSON form.
        """

    def refusal(self, request: Request, error: ApiError, *, py_exceptions: bool = False) -> bytes:
        """The reply to a call that was refused; with `py_exceptions` it carries a pickled exception."""

    def notification(self, method: str, params: dict[str, Any]) -> bytes:
        """A message without an id: `collection_update` or `notify_unsubscribed` with their JSON-RPC params."""
