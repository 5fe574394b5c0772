"""What a failed system call on a node means to a CSI caller: one table.

A fault that may pass by itself is UNAVAILABLE, or ABORTED where somebody is using the thing right now; callers repeat
both. What the operator or the caller must change first is definite. INTERNAL is never sent: callers would take it for
"nothing is running". The text of an OSError stays out of the answer: an initiator may have put credentials into it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from csisim.errors import (
    Aborted,
    CsiError,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)

_REPEAT = "repeat the call; if it lasts, check the NAS and the network between"
_NO_SPACE = "free space or raise the limit, then repeat"

ERRNO_TABLE: dict[int, tuple[type[CsiError], str]] = {
    errno.ENOENT: (NotFound, "it does not exist; check that the volume is still shared and the path was not removed"),
    errno.EBUSY: (Aborted, "it is in use; close what has it open, then repeat"),
    errno.ENOTEMPTY: (FailedPrecondition, "it is not a mount point, yet has files in it, which were left alone"),
    errno.EEXIST: (FailedPrecondition, "something else is there and was left alone; move it away"),
    errno.ENOTDIR: (FailedPrecondition, "a directory is needed and a file is in its place, or the reverse"),
    errno.EISDIR: (FailedPrecondition, "a file is needed and a directory is in its place"),
    errno.EINVAL: (FailedPrecondition, "refused; check the mount options and the file system"),
    errno.ENAMETOOLONG: (InvalidArgument, "use a shorter path"),
    errno.EILSEQ: (InvalidArgument, "use a path of plain characters"),
    errno.ELOOP: (InvalidArgument, "its symbolic links lead in a circle"),
    errno.ENOSPC: (ResourceExhausted, _NO_SPACE),
    errno.EDQUOT: (ResourceExhausted, _NO_SPACE),
    errno.EFBIG: (OutOfRange, "the file system cannot be that large"),
    errno.EROFS: (FailedPrecondition, "it is mounted read-only"),
    errno.EOPNOTSUPP: (FailedPrecondition, "this file system cannot do that"),
    errno.EPROTONOSUPPORT: (FailedPrecondition, "this node has no initiator for the protocol"),
    errno.EACCES: (PermissionDenied, "check the export's hosts, and the credentials in the node stage secrets"),
    errno.EPERM: (PermissionDenied, "the driver lacks the right to do this on the node"),
    errno.ENODEV: (Unavailable, f"the device is gone for now; {_REPEAT}"),
    errno.ENXIO: (Unavailable, f"the device is gone for now; {_REPEAT}"),
    errno.ESTALE: (Unavailable, f"the server no longer knows this mount; {_REPEAT}"),
}


def errno_name(error: OSError) -> str:
    """Such as `EBUSY (Device or resource busy)`."""
    if error.errno is None:
        return type(error).__name__
    return f"{errno.errorcode.get(error.errno, f'errno {error.errno}')} ({os.strerror(error.errno)})"


def csi_error(error: OSError, doing: str, path: str) -> CsiError:
    """The answer to a caller: what was tried on which path, why it failed, what to do."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return DeadlineExceeded(f"{doing} {path}: no answer in time; {_REPEAT}")
    kind, advice = ERRNO_TABLE.get(error.errno or 0, (Unavailable, _REPEAT))
    return kind(f"{doing} {path}: {errno_name(error)}: {advice}")


@contextmanager
def system_call(doing: str, path: str) -> Iterator[None]:
    """Turn an OSError from inside into the CsiError of the table."""
    try:
        yield
    except OSError as error:
        raise csi_error(error, doing, path) from error
