"""JSON-RPC 2.0 as the TrueNAS middleware frames it. Sans I/O, pure: text in, requests or reply text out.

Any text gives a `Request`, a reply to send (`Refusal`), or silence (a notification that is not valid).
"""

from dataclasses import dataclass
from typing import Any

import orjson

from fake_truenas.errors import ApiError

_NO_ID = object()


@dataclass(frozen=True, slots=True)
class Request:
    """A call. `id` has the JSON type that the caller used; with `wants_reply` False nothing may be answered."""

    method: str
    params: list[Any]
    id: Any
    wants_reply: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """The text was not a valid call; `reply` is to be sent, None stays silent."""

    reply: bytes | None


def parse(text: str) -> Request | Refusal:
    """Read one text frame."""
    try:
        message = orjson.loads(text)
    except ValueError as error:  # also for strings that are not valid UTF-8
        return Refusal(error_reply(None, -32700, f"Parse error: {error}"))
    if type(message) is not dict:
        if type(message) is list:
            return Refusal(error_reply(None, -32700, "Batch messages are not supported at this time"))
        return Refusal(error_reply(None, -32700, "Invalid Message Format"))
    request_id = message.get("id", _NO_ID)
    method = message.get("method")
    params = message.get("params", _NO_ID)
    wrong = None
    if message.get("jsonrpc") != "2.0":
        wrong = "'jsonrpc' member must be '2.0'"
    elif (
        request_id is not _NO_ID
        and request_id is not None
        and type(request_id) is not int
        and type(request_id) is not str
    ):
        wrong = "'id' member must be of type null, string or number"
        request_id = None
    elif type(method) is not str or not method:
        wrong = "'method' member must be of type string"
    elif params is not _NO_ID and type(params) is not list:
        wrong = "'params' member must be of type array"
    if wrong is not None:
        known = request_id if type(request_id) is int or type(request_id) is str else None
        return Refusal(None if request_id is _NO_ID else error_reply(known, -32600, wrong))
    given = [] if params is _NO_ID else params
    if request_id is _NO_ID:
        return Request(str(method), given, None, wants_reply=False)
    return Request(str(method), given, request_id, wants_reply=True)


def result_reply(request_id: Any, result: Any) -> bytes:
    """The reply to a call that succeeded."""
    return orjson.dumps({"jsonrpc": "2.0", "result": result, "id": request_id})


def error_reply(request_id: Any, code: int, message: str, data: Any = None) -> bytes:
    """The reply to a call that failed; `data` None leaves the member out."""
    error = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return orjson.dumps({"jsonrpc": "2.0", "error": error, "id": request_id})


def refusal_reply(request_id: Any, error: ApiError) -> bytes:
    """The reply for an exception."""
    return error_reply(request_id, error.code, error.message, error.data())


def notification(method: str, params: Any) -> bytes:
    """A message from the server without an id."""
    return orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params})
