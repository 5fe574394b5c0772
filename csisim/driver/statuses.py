"""Errors to gRPC statuses: the one table; pure."""

import errno

from grpc import StatusCode

from csisim.errors import CsiError, NasIndeterminate, NasRefused, NasTimeout
from csisim.truenas.storage import is_busy, is_existing, is_missing, is_out_of_space

_METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = -32602
# What passes by itself, below the NAS (its disks, its network, its other controller) or in it. 202, 204 and 210 are its
# own: a service that did not start, the other controller failed, no failover now.
_PASSING = frozenset(
    (errno.EAGAIN, errno.EINTR, errno.EIO, errno.ENOMEM, errno.EPIPE, errno.ENETDOWN, errno.ENETUNREACH,
     errno.ECONNABORTED, errno.ECONNRESET, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.EHOSTUNREACH, 202, 204, 210)
)  # fmt: skip
# The values that pass from a caller to the NAS as they are; names and sizes are made by the driver.
_CALLERS_ATTRIBUTES = frozenset({"comments", "compression", "sync"})


def status_of(error: BaseException) -> tuple[StatusCode, str]:
    """The status and message that a caller gets for an error.

    INTERNAL is read as "nothing is running, do not repeat", so only definite refusals and defects of the driver get it.
    """
    match error:
        case CsiError():
            return error.code, str(error)
        case NasTimeout(sent=True):
            return StatusCode.DEADLINE_EXCEEDED, f"no answer from the NAS in time: {error}; repeat the call"
        case NasTimeout():
            return StatusCode.DEADLINE_EXCEEDED, f"no time left to ask the NAS: {error}; repeat with more time"
        case NasIndeterminate():
            return StatusCode.UNAVAILABLE, f"the NAS cannot be reached: {error}; repeat the call"
        case NasRefused():
            return _refused(error), _refusal(error)
        case _:
            return StatusCode.INTERNAL, f"defect in the driver: {type(error).__name__}; its log has the details"


def _refusal(error: NasRefused) -> str:
    if error.code == _METHOD_NOT_FOUND:
        return f"the NAS does not offer {error.method}; use a version of TrueNAS that has it"
    return f"the NAS refused: {error}"


def _refused(error: NasRefused) -> StatusCode:
    if error.code == _METHOD_NOT_FOUND:
        return StatusCode.FAILED_PRECONDITION  # before its text is looked at: "does not exist" is no missing object
    if is_out_of_space(error):
        return StatusCode.RESOURCE_EXHAUSTED
    if is_busy(error) or error.errno in _PASSING:
        return StatusCode.UNAVAILABLE
    if is_missing(error):
        return StatusCode.ABORTED  # it went away in the middle of the call: a repeat sees the new state
    if error.code == _INVALID_PARAMS and _is_callers(error):
        return StatusCode.INVALID_ARGUMENT
    # "Invalid params" is also what the NAS says when its own state is in the way.
    in_the_way = error.code == _INVALID_PARAMS or is_existing(error) or error.errno == errno.ENOTEMPTY
    return StatusCode.FAILED_PRECONDITION if in_the_way else StatusCode.INTERNAL


def _is_callers(error: NasRefused) -> bool:
    """Whether the caller's own values were refused: by the NAS, or for their size or content before they were sent."""
    attributes = {attribute.rpartition(".")[2] for attribute, _, _ in error.details}
    return not attributes or attributes <= _CALLERS_ATTRIBUTES
