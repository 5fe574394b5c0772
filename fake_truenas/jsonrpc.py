"""JSON-RPC 2.0 as the TrueNAS middleware frames it. Sans I/O, pure: text in, requests or reply text out.

Any text gives a `Request`, a reply to send, or silence (a notification that is not valid).
"""

from typing import Any

from fake_truenas import extended_json
from fake_truenas.errors import ApiError
from fake_truenas.framing import Answer, Request

_NO_ID = object()


def parse(text: str) -> Request | Answer:
    """Read one text frame."""
    try:
        message = extended_json.loads(text)
    except ValueError as error:  # also for strings that are not valid UTF-8
        return Answer(error_reply(None, -32700, str(error)))
    if type(message) is not dict:
        if type(message) is list:
            return Answer(error_reply(None, -32700, "Batch messages are not supported at this time"))
        return Answer(error_reply(None, -32700, "Invalid Message Format"))
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
        return Answer(None if request_id is _NO_ID else error_reply(known, -32600, wrong))
    given = [] if params is _NO_ID else params
    if request_id is _NO_ID:
        return Request(str(method), given, None, wants_reply=False)
    return Request(str(method), given, request_id, wants_reply=True)


def result_reply(request_id: Any, result: Any) -> bytes:
    """The reply to a call that succeeded."""
    return extended_json.dumps({"jsonrpc": "2.0", "result": result, "id": request_id})


def error_reply(request_id: Any, code: int, message: str, data: Any = None) -> bytes:
    """The reply to a call that failed; `data` None leaves the member out."""
    error = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return extended_json.dumps({"jsonrpc": "2.0", "error": error, "id": request_id})


def refusal_reply(request_id: Any, error: ApiError, *, py_exceptions: bool = False) -> bytes:
    """The reply for an exception; with the option `py_exceptions` it carries a pickled one."""
    return error_reply(request_id, error.code, error.message, error.data(py_exceptions=py_exceptions))


def notification(method: str, params: Any) -> bytes:
    """A message from the server without an id."""
    return extended_json.dumps({"jsonrpc": "2.0", "method": method, "params": params})


class JsonRpc:
    """JSON-RPC 2.0 as a `Framing`: no connection has a state of its own."""

    def read(self, text: str) -> Request | Answer:
        """Read one text frame."""
        return parse(text)

    def result(self, request: Request, result: Any) -> bytes:
        """The reply to a call that succeeded."""
        return result_reply(request.id, result)

    def refusal(self, request: Request, error: ApiError, *, py_exceptions: bool = False) -> bytes:
        """The reply to a call that was refused."""
        return refusal_reply(request.id, error, py_exceptions=py_exceptions)

    def notification(self, method: str, params: dict[str, Any]) -> bytes:
        """A message from the server without an id."""
        return notification(method, params)
