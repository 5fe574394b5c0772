"""The directory in which a cluster keeps what survives a restart, owned by one process at a time.

DIR/lock            held while the process lives; holds its number for the message to the next one
DIR/nas/            the embedded NAS
DIR/nodes/<node>/   one node's state files and mount table
"""

import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from csisim.cluster.settings import ClusterError


class StateDirError(ClusterError):
    """The state directory cannot be used; the text says why and what to do."""


class StateDir:
    """A locked directory; without a given path a private temporary one, made when first used and removed on close.

    Raises:
        StateDirError: held by another process, not a directory, not ours, or not writable.
    """

    def __init__(self, path: Path | None) -> None:
        self.temporary = path is None
        self._lock = -1
        self._path: Path | None = None
        if path is None:
            return
        self._path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._claim()
        except OSError as error:
            raise StateDirError(f"{path}: {error.strerror}") from error

    @property
    def path(self) -> Path:
        """The directory."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="csisim-"))
        return self._path

    @property
    def nas(self) -> Path | None:
        """Where the embedded NAS keeps its data; None for one in memory."""
        return None if self.temporary else self._subdirectory("nas")

    def node(self, node_id: str) -> Path:
        """One node's directory."""
        return self._subdirectory("nodes", node_id)

    def close(self) -> None:
        """Give the directory up; a temporary one is removed with all in it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self.temporary and self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _subdirectory(self, *names: str) -> Path:
        path = self.path
        for name in names:
            path /= name
            path.mkdir(mode=0o700, exist_ok=True)
        return path

    def _claim(self) -> None:
        if self.path.stat().st_uid != os.geteuid():
            raise StateDirError(f"{self.path}: belongs to another user")
        # O_NOFOLLOW: whoever can write to the parent shall not choose which file is locked and overwritten.
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            raise StateDirError(
                f"{self.path}: in use by process {holder}; stop it or choose another directory"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock
