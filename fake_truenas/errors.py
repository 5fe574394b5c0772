"""What a call can end with besides a result, in the exact shapes of the wire.

ApiError
├── CallError          -32001: every refusal that is not a validation error; carries an errno
│   ├── MatchNotFound  a query with `get` found no row
│   └── Unexpected     a defect of the server: errno 22, and its own text
├── ValidationErrors   -32602: every refused parameter
│   └── InstanceNotFound  "does not exist", of most namespaces
├── MethodNotFound     -32601
└── TooManyCalls       -32000

All of them mean that the call changed nothing: its transaction is rolled back, but for what `Ctx.keep` committed.
Source: TrueNAS API 25.10, JSON-RPC errors.
"""

import errno as _errno
from collections.abc import Sequence
from typing import Any, NamedTuple

from fake_truenas import traces

ENOMETHOD = 201
ENOTAUTHENTICATED = 207

RENAME_NEEDS_FORCE = (
    "No safety checks are performed when renaming ZFS resources; this may break existing usages. If you understand the"
    " risks, please set force and proceed."
)
"""Why datasets and snapshots are renamed with `force` only."""

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

    def data(self, *, py_exceptions: bool = False) -> dict[str, Any] | None:  # noqa: ARG002 - for overriding
        """The `data` member of the error object; None leaves it out."""
        return None

    @property
    def cause(self) -> BaseException:
        """What the trace is about."""
        return self

    def _data(self, errno: int, reason: str, extra: Any, py_exceptions: bool) -> dict[str, Any]:
        data = {
            "error": errno,
            "errname": errname(errno),
            "reason": reason,
            "trace": traces.trace(self.cause),
            "extra": extra,
        }
        pickled = traces.py_exception(self.cause, errno, reason) if py_exceptions else None
        return data if pickled is None else {**data, "py_exception": pickled}


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

    def data(self, *, py_exceptions: bool = False) -> dict[str, Any]:
        """The error object's `data`."""
        return self._data(self.errno, self.reason, self.extra, py_exceptions)


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
        super().__init__(str(cause) or repr(cause), _errno.EINVAL)
        self._cause = cause

    @property
    def cause(self) -> BaseException:
        """The unexpected exception itself."""
        return self._cause

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

    def data(self, *, py_exceptions: bool = False) -> dict[str, Any]:
        """The error object's `data`."""
        return self._data(_errno.EINVAL, self.reason, [list(item) for item in self.items], py_exceptions)


class InstanceNotFound(ValidationErrors):
    """There is no such row or job. Being a single refusal, its reason is not ended by a newline."""

    def __init__(self, text: str) -> None:
        super().__init__([Invalid(None, text, _errno.ENOENT)])

    @property
    def reason(self) -> str:
        """`[ENOENT] None: text`."""
        return super().reason.rstrip("\n")


def invalid(attribute: str | None, text: str, errno: int = _errno.EINVAL) -> ValidationErrors:
    """The error to raise for one refused attribute, such as "data.name"."""
    return ValidationErrors([Invalid(attribute, text, errno)])


def does_not_exist(type_name: str, key: object) -> ValidationErrors:
    """What get_instance, update and delete answer for an unknown id, for example of type "SharingNFS"."""
    return InstanceNotFound(f"{type_name} {key} does not exist")


class MethodNotFound(ApiError):
    """The method does not exist, or is private."""

    code = -32601
    message = "Method does not exist"


class TooManyCalls(ApiError):
    """Ten calls of this connection run and ten wait already."""

    code = -32000
    message = "Maximum number of concurrent calls (20) has exceeded"
