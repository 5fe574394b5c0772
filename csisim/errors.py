"""All errors of the project.

CsiError                    what a CSI caller gets: carries its gRPC status code
├── InvalidArgument, NotFound, AlreadyExists, PermissionDenied, ResourceExhausted, FailedPrecondition,
│   Aborted, OutOfRange, Unimplemented, Internal, Unavailable, DeadlineExceeded, Unauthenticated
│   InjectedStatus          any status, because a fault rule says so
NasError                    what a call to the NAS can end with
├── NasRefused              definite: the NAS said no, nothing was changed by this call
└── NasIndeterminate        unreachable, timed out or cut off: the effect may have happened
    └── NasTimeout          the same, because the time given ran out

Only an indeterminate error may be retried, and only after looking up what happened. Only it becomes UNAVAILABLE or
DEADLINE_EXCEEDED. Callers read INTERNAL as "nothing is running": it is never sent for a passing fault.
"""

from collections.abc import Sequence
from typing import ClassVar

from grpc import StatusCode


class CsiError(Exception):
    """An answer other than OK; `code` is the gRPC status, the text its message."""

    code: ClassVar[StatusCode] = StatusCode.INTERNAL


class InvalidArgument(CsiError):
    """A field is missing, malformed, too long or not supported; nothing was changed."""

    code = StatusCode.INVALID_ARGUMENT


class NotFound(CsiError):
    """The volume, snapshot, group, node or content source does not exist."""

    code = StatusCode.NOT_FOUND


class AlreadyExists(CsiError):
    """The name is taken by an object that does not fit the request."""

    code = StatusCode.ALREADY_EXISTS


class PermissionDenied(CsiError):
    """The secrets name a caller who may not do this."""

    code = StatusCode.PERMISSION_DENIED


class ResourceExhausted(CsiError):
    """No space, quota or attachment slot left."""

    code = StatusCode.RESOURCE_EXHAUSTED


class FailedPrecondition(CsiError):
    """The object is in a state that forbids this; the caller must change that first."""

    code = StatusCode.FAILED_PRECONDITION


class Aborted(CsiError):
    """Another call for the same volume or snapshot is running, or a list token is not valid; repeat later."""

    code = StatusCode.ABORTED


class OutOfRange(CsiError):
    """A size or offset outside what can be done."""

    code = StatusCode.OUT_OF_RANGE


class Unimplemented(CsiError):
    """The RPC is not offered in this mode."""

    code = StatusCode.UNIMPLEMENTED


class Internal(CsiError):
    """A definite failure with no better code; callers stop retrying."""

    code = StatusCode.INTERNAL


class Unavailable(CsiError):
    """The NAS cannot be reached, or the connection was cut; the effect may have happened. Repeat."""

    code = StatusCode.UNAVAILABLE


class DeadlineExceeded(CsiError):
    """The caller's time ran out; the effect may have happened. Repeat."""

    code = StatusCode.DEADLINE_EXCEEDED


class Unauthenticated(CsiError):
    """The secrets are absent or not valid."""

    code = StatusCode.UNAUTHENTICATED


class InjectedStatus(CsiError):
    """A fault rule ends the call with this status, whether or not it had its effect."""

    def __init__(self, code: StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code  # type: ignore[misc] # every other class has one code


class NasError(Exception):
    """A call to the NAS did not succeed; `method` is the JSON-RPC method."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"{method}: {reason}")
        self.method = method
        self.reason = reason


class NasRefused(NasError):
    """The NAS answered with an error: this call changed nothing; only a job that failed may have done part of its work.

    Attributes:
        code: JSON-RPC error code, for example -32001 (method call error) or -32602 (invalid params).
        errno: the number that tells the cause. For validation errors the NAS always says 22 at the top and puts
            the true numbers into `extra`; then this is the first of those that is not 22.
        details: (attribute, text, errno) per validation error; empty for other errors.
    """

    def __init__(
        self, method: str, reason: str, *, code: int, errno: int, details: Sequence[tuple[str, str, int]] = ()
    ) -> None:
        super().__init__(method, reason)
        self.code = code
        self.errno = errno
        self.details = tuple(details)

    def mentions(self, *words: str) -> bool:
        """Whether any of the words, in lower case, occurs in the reason: ZFS tells many causes by text alone."""
        text = self.reason.lower()
        return any(word in text for word in words)


class NasIndeterminate(NasError):
    """The answer is missing. `sent` is False only where certainly nothing ran: not sent, or turned away unrun."""

    def __init__(self, method: str, reason: str, *, sent: bool) -> None:
        super().__init__(method, reason)
        self.sent = sent


class NasTimeout(NasIndeterminate):
    """No answer within the time given to the call."""
