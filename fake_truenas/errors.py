"""What a call can end with besides a result, in the exact shapes of the wire.

ApiError
├── CallError          -32001: every refusal that is not a validation error; carries an errno
├── ValidationErrors   -32602: every refused parameter, and also "does not exist" of most namespaces
├── MatchNotFound      -32001: a query with `get` found no row
├── MethodNotFound     -32601
└── TooManyCalls       -32000

All of them mean that the call changed nothing: its transaction is rolled back.
Source: TrueNAS API 25.10, JSON-RPC errors.
"""

import errno as _errno
from collections.abc import Sequence
from typing import Any, NamedTuple

ENOTAUTHENTICATED = 207

_PRIVATE_NAMES = {
    201: "ENOMETHOD",
    202: "ESERVICESTARTFAILURE",
    203: "EALERTCHECKERUNAVAILABLE",
    204: "EREMOTENODEERROR",
    205: "EDATASETISLOCKED",
    206: "EINVALIDRRDTIMESTAMP",
    207: "ENOTAUTHENTICATED",
    208: "ESSLCERTVERIFICATIONERROR",
    209: "EREBOOTREQUIRED",
    210: "EHAUNAVAILABLE",
}


def errname(number: int) -> str:
    """The symbolic name of an errno, TrueNAS's private numbers included."""
    return _PRIVATE_NAMES.get(number) or _errno.errorcode.get(number) or "EUNKNOWN"


class ApiError(Exception):
    """A call was refused; `code` and `message` are the JSON-RPC ones, `data` the object beside them or None."""

    code = -32603
    message = "Internal error"

    def data(self) -> dict[str, Any] | None:
        """The `data` member of the error object; None leaves it out."""
        return None


class CallError(ApiError):
    """The call was understood and refused. Without an errno the server says 14, EFAULT.

    Args:
        text: the words after `[ERRNAME] ` in `data.reason`.
        errno: the cause; names above 200 are TrueNAS's own.
        extra: free JSON for `data.extra`.
    """

    code = -32001
    message = "Method call error"

    def __init__(self, text: str, errno: int = _errno.EFAULT, extra: Any = None) -> None:
        super().__init__(text)
        self.text = text
        self.errno = errno
        self.extra = extra

    @property
    def reason(self) -> str:
        """`[ERRNAME] text`, as `data.reason` carries it."""
        return f"[{errname(self.errno)}] {self.text}"

    def data(self) -> dict[str, Any]:
        """The error object's `data`."""
        return {
            "error": self.errno,
            "errname": errname(self.errno),
            "reason": self.reason,
            "trace": _trace(self),
            "extra": self.extra,
        }


class MatchNotFound(CallError):
    """A query with `get: true` matched nothing; its reason is an empty text."""

    def __init__(self) -> None:
        super().__init__("", _errno.EINVAL)

    @property
    def reason(self) -> str:
        """Empty: the exception has no text."""
        return ""


class Unexpected(CallError):
    """A defect of the server: answered as the real one answers any unexpected exception, errno 22 and its text."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause) or type(cause).__name__, _errno.EINVAL)

    @property
    def reason(self) -> str:
        """The exception's own text, without an errno word."""
        return self.text


class Invalid(NamedTuple):
    """One refused parameter: dotted path of the attribute (None prints as "None"), text and true errno."""

    attribute: str | None
    text: str
    errno: int = _errno.EINVAL


class ValidationErrors(ApiError):
    """One or more parameters were refused. The outer errno is always 22; the true ones are in `extra`."""

    code = -32602
    message = "Invalid params"

    def __init__(self, items: Sequence[Invalid]) -> None:
        super().__init__("; ".join(f"{item.attribute}: {item.text}" for item in items))
        self.items = tuple(items)

    @property
    def reason(self) -> str:
        """One newline-terminated line per item."""
        return "".join(f"[{errname(item.errno)}] {item.attribute}: {item.text}\n" for item in self.items)

    def data(self) -> dict[str, Any]:
        """The error object's `data`."""
        return {
            "error": _errno.EINVAL,
            "errname": "EINVAL",
            "reason": self.reason,
            "trace": _trace(self),
            "extra": [list(item) for item in self.items],
        }


def invalid(attribute: str | None, text: str, errno: int = _errno.EINVAL) -> ValidationErrors:
    """The error to raise for one refused attribute, such as "data.name"."""
    return ValidationErrors([Invalid(attribute, text, errno)])


def does_not_exist(type_name: str, key: object) -> ValidationErrors:
    """What get_instance, update and delete answer for an unknown id, for example of type "SharingNFS"."""
    return ValidationErrors([Invalid(None, f"{type_name} {key} does not exist", _errno.ENOENT)])


class MethodNotFound(ApiError):
    """The method does not exist, or is private."""

    code = -32601
    message = "Method does not exist"


class TooManyCalls(ApiError):
    """Ten calls of this connection run and ten wait already."""

    code = -32000
    message = "Maximum number of concurrent calls (20) has exceeded"


def _trace(error: BaseException) -> dict[str, Any]:
    # Clients require the key; the frames of a simulated server would mean nothing to them.
    return {"class": type(error).__name__, "frames": [], "formatted": str(error), "repr": repr(error)}
