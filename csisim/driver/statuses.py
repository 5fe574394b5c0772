"""Errors to gRPC statuses: the one table; pure."""

import errno

from grpc import StatusCode

from csisim.errors import CsiError, NasIndeterminate, NasRefused, NasTimeout
from csisim.truenas.storage import is_missing, is_out_of_space

_INVALID_PARAMS = -32602


def status_of(error: BaseException) -> tuple[StatusCode, str]:
    """The status and message that a caller gets for an error.

    INTERNAL is read as "nothing is running, do not repeat", so only definite refusals and defects of the driver get it.
    """
    match error:
        case CsiError():
            return error.code, str(error)
        case NasTimeout(sent=True):
            return StatusCode.DEADLINE_EXCEEDED, f"no answer from the NAS in time: {error}; repeat the call"
        case NasIndeterminate():
            return StatusCode.UNAVAILABLE, f"the NAS cannot be reached: {error}; repeat the call"
        case NasRefused():
            return _refused(error), f"the NAS refused: {error}"
        case _:
            return StatusCode.INTERNAL, f"defect in the driver: {type(error).__name__}; its log has the details"


def _refused(error: NasRefused) -> StatusCode:
    if is_out_of_space(error):
        return StatusCode.RESOURCE_EXHAUSTED
    if error.errno in (errno.EBUSY, errno.EAGAIN):
        return StatusCode.UNAVAILABLE  # passing by nature
    if is_missing(error):
        return StatusCode.ABORTED  # it went away in the middle of the call: a repeat sees the new state
    if error.code == _INVALID_PARAMS:
        return StatusCode.INVALID_ARGUMENT
    return StatusCode.INTERNAL
