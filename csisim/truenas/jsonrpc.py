"""JSON-RPC 2.0 as the NAS speaks it: text out, text in; pure and total (TrueNAS API 25.10)."""

import errno as errno_module
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias, TypeGuard

import orjson

from csisim.errors import NasRefused

Json: TypeAlias = Any

# Answered by the connection handler itself: nothing was run.
TOO_MANY_CALLS = -32000
METHOD_CALL_ERROR = -32001
INVALID_PARAMS = -32602

# Numbers that the middleware has beside those of the operating system.
ENOTAUTHENTICATED = 207
_PRIVATE_ERRNOS = {
    "ENOMETHOD": 201,
    "ESERVICESTARTFAILURE": 202,
    "EALERTCHECKERUNAVAILABLE": 203,
    "EREMOTENODEERROR": 204,
    "EDATASETISLOCKED": 205,
    "EINVALIDRRDTIMESTAMP": 206,
    "ENOTAUTHENTICATED": ENOTAUTHENTICATED,
    "ESSLCERTVERIFICATIONERROR": 208,
    "EREBOOTREQUIRED": 209,
    "EHAUNAVAILABLE": 210,
}
_ERRNAME = re.compile(r"\s*\[(E[A-Z0-9]+)\]")
_MAX_REASON_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Reply:
    """A call's result."""

    id: int
    result: Json


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A call's refusal; `id` is None where the NAS could not tell which call it was.

    Attributes:
        errno: as in `NasRefused`; 0 where the NAS gave none.
    """

    id: int | None
    code: int
    errno: int
    reason: str
    details: tuple[tuple[str, str, int], ...]

    def refusal(self, method: str) -> NasRefused:
        """The exception for the caller."""
        return NasRefused(method, self.reason, code=self.code, errno=self.errno, details=self.details)


@dataclass(frozen=True, slots=True)
class Notification:
    """A message without an id, such as `collection_update`."""

    method: str
    params: Json


@dataclass(frozen=True, slots=True)
class Malformed:
    """Anything else."""

    why: str


Message: TypeAlias = Reply | ErrorReply | Notification | Malformed


class RequestIds:
    """Counts up from `first` and never goes back, so that a late reply cannot meet another call."""

    __slots__ = ("_next",)

    def __init__(self, first: int = 1) -> None:
        self._next = count(first)

    def take(self) -> int:
        """An id that was not used before."""
        return next(self._next)


def encode(request_id: int, method: str, params: Sequence[Json]) -> str:
    """The text of a request.

    Raises:
        NasRefused: the params cannot be written as JSON (lone surrogates, integers beyond 64 bits, foreign types).
    """
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    try:
        return orjson.dumps(message).decode()
    except TypeError as error:
        raise NasRefused(
            method, f"params cannot be written as JSON: {error}", code=INVALID_PARAMS, errno=errno_module.EINVAL
        ) from None


def parse(data: bytes | str) -> Message:
    """What a frame says. Never raises."""
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return Malformed(f"not JSON: {error}")
    if not isinstance(message, dict):
        return Malformed(f"a {type(message).__name__} instead of an object")
    request_id = message.get("id")
    if "error" in message and (message["error"] is not None or "result" not in message):
        # Before "result": where both are there, an error is never taken for success.
        return _parse_error(request_id, message["error"])
    if "result" in message and _is_int(request_id):
        return Reply(request_id, message["result"])
    method = message.get("method")
    if isinstance(method, str) and request_id is None:
        return Notification(method, message.get("params"))
    return Malformed("neither a result with our kind of id, nor an error, nor a notification")


def parse_details(extra: Json) -> tuple[tuple[str, str, int], ...]:
    """The (attribute, text, errno) triples of a validation error; items of another shape are left out."""
    if not isinstance(extra, list):
        return ()
    return tuple(
        (str(item[0] if item[0] is not None else ""), str(item[1])[:_MAX_REASON_CHARS], item[2])
        for item in extra
        if isinstance(item, list) and len(item) == 3 and _is_int(item[2])
    )


def true_errno(number: Json, errname: Json, reason: str, details: Sequence[tuple[str, str, int]]) -> int:
    """The number that tells the cause: of the details where it is there, else of the error, else of its words."""
    for _, _, each in details:
        if each != errno_module.EINVAL:
            return each
    if _is_int(number) and number != errno_module.EINVAL:
        return number
    named = _ERRNAME.match(reason)
    for name in (named.group(1) if named else None, errname):
        if isinstance(name, str):
            found = _PRIVATE_ERRNOS.get(name) or getattr(errno_module, name, None)
            if _is_int(found):
                return found
    return number if _is_int(number) else 0


def _parse_error(request_id: Json, error: Json) -> ErrorReply:
    fields = error if isinstance(error, dict) else {"message": error}
    code = fields.get("code")
    data = fields.get("data")
    data = data if isinstance(data, dict) else {}
    details = parse_details(data.get("extra"))
    # The message is generic ("Invalid params"); what went wrong is in the data only.
    text = data.get("reason") or fields.get("message") or "the NAS gave no reason"
    reason = str(text).strip()[:_MAX_REASON_CHARS]
    return ErrorReply(
        id=request_id if _is_int(request_id) else None,
        code=code if _is_int(code) else 0,
        errno=true_errno(data.get("error"), data.get("errname"), reason, details),
        reason=reason,
        details=details,
    )


def _is_int(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
