"""Standard output that cannot be lost in silence: what cannot be written ends the command, and says why."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

LOST: Final = os.EX_IOERR
"""The exit status where standard output could not be written."""
CUT: Final = 128 + 13
"""The same where whoever read it has gone, as `head` does: that of SIGPIPE, as shells count it."""

_STDOUT: Final = 1


class NotWritten(Exception):
    """Standard output takes nothing any more. No OSError: that would be taken for one of a file of the command's."""


class Watched(io.FileIO):
    """A descriptor whose first failure raises `NotWritten`, and which takes everything from then on.

    Attributes:
        failure: what it was.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.failure: OSError | None = None

    def write(self, content: Any, /) -> int:
        """As of any file; what comes after a failure is the business of nobody."""
        if self.failure is None:
            try:
                return super().write(content)
            except OSError as error:
                self.failure = error
                raise NotWritten(error.strerror) from error
        return len(memoryview(content))


class _Closed(Watched):
    """What stands in for standard output where the process was started without one."""

    def write(self, content: Any, /) -> int:
        """Fails, as if the descriptor were still closed."""
        if self.failure is None:
            self.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
            raise NotWritten(self.failure.strerror)
        return len(memoryview(content))


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Put a `Watched` in the place of standard output while a command runs, and tell of its failure.

    Args:
        name: of the command, for the line on standard error.

    Raises:
        SystemExit: LOST or CUT, whatever the command made of the failure.
    """
    before, raw = sys.stdout, _raw()
    sys.stdout = stream = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=getattr(before, "encoding", None) or "utf-8",
        errors=getattr(before, "errors", None), line_buffering=getattr(before, "line_buffering", True),
    )  # fmt: skip
    try:
        try:
            yield
        finally:
            stream.flush()
    finally:
        sys.stdout = before
        if raw.failure is not None:
            raise SystemExit(_told(name, raw.failure))


def _raw() -> Watched:
    if sys.stdout is not None:
        return Watched(sys.stdout.fileno())
    # Else the next file or connection would get this number, and be written into by libraries.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != _STDOUT:
        os.dup2(nowhere, _STDOUT)
        os.close(nowhere)
    return _Closed(_STDOUT)


def _told(name: str, failure: OSError) -> int:
    if failure.errno == errno.EPIPE:
        return CUT
    if sys.stderr is not None:
        sys.stderr.write(f"{name}: standard output could not be written: {failure.strerror}\n")
    return LOST
