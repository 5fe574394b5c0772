"""Standard output that cannot be lost in silence: what cannot be written ends the command, and says why.

What cannot be written to standard error changes nothing: a verdict does not hang on who listens to the progress.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

LOST: Final = os.EX_IOERR
"""The exit status where standard output could not be written."""
CUT: Final = 128 + 13
"""The same where whoever read it has gone, as `head` does: that of SIGPIPE, as shells count it."""

_STDOUT: Final = 1
_STDERR: Final = 2


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


class _Forgiving(io.FileIO):
    """A descriptor that takes everything; what it cannot hold is lost."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)

    def write(self, content: Any, /) -> int:
        """As of any file. Each write is tried: a disk that was full may have room again."""
        with suppress(OSError):
            written: int | None = super().write(content)
            if written is not None:
                return written
        return len(memoryview(content))


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Put a `Watched` in the place of standard output while a command runs, and tell of its failure.

    Standard error takes everything meanwhile, as far as the command can see.

    Args:
        name: of the command, for the line on standard error.

    Raises:
        SystemExit: LOST or CUT, whatever the command made of the failure.
    """
    with _forgiving():
        before, raw = sys.stdout, _raw()
        sys.stdout = stream = _text(raw, before)
        try:
            try:
                yield
            finally:
                stream.flush()
        finally:
            sys.stdout = before
            if raw.failure is not None:
                raise SystemExit(_told(name, raw.failure))


@contextmanager
def _forgiving() -> Iterator[None]:
    before = sys.stderr
    try:
        descriptor = _STDERR if before is None else before.fileno()
    except OSError:  # it is kept in memory, where there is always room
        yield
        return
    if before is None:
        _nowhere(_STDERR)
    sys.stderr = stream = _text(_Forgiving(descriptor), before)
    try:
        yield
    finally:
        stream.flush()
        sys.stderr = before


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    """Text on the way to a descriptor, in the manner of the stream that was there before."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=getattr(before, "encoding", None) or "utf-8",
        errors=getattr(before, "errors", "backslashreplace"), line_buffering=getattr(before, "line_buffering", True),
    )  # fmt: skip


def _raw() -> Watched:
    if sys.stdout is not None:
        return Watched(sys.stdout.fileno())
    _nowhere(_STDOUT)
    return _Closed(_STDOUT)


def _nowhere(descriptor: int) -> None:
    """Let a closed one lead nowhere: else the next file would get its number, and be written into by libraries."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _told(name: str, failure: OSError) -> int:
    if failure.errno == errno.EPIPE:
        return CUT
    sys.stderr.write(f"{name}: standard output could not be written: {failure.strerror}\n")
    return LOST
