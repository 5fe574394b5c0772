"""Small records on a real disk that survive `kill -9` and power loss: `StateFiles` of the node service."""

import errno
import os
from pathlib import Path
from urllib.parse import quote, unquote

from csisim.sim.backend import os_error

_SUFFIX = ".record"
_NAME_BYTES = 255
# How often a record may be replaced while it is being read.
_READ_TRIES = 100


class DirectoryStateFiles:
    """One file per record, all in one directory, which is made when missing.

    A record's name may be any string: it is quoted, so no name leads out of the directory. ENAMETOOLONG where that
    is longer than a file name can be.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory

    async def read(self, name: str) -> bytes | None:
        """The record, or None. An empty or vanished file is no record."""
        path = self._path(name)
        for _ in range(_READ_TRIES):
            content, current = _read(path)
            if current:
                return content or None
        raise os_error(errno.EAGAIN, str(path))

    async def write(self, name: str, content: bytes) -> None:
        """Replace the record. EINVAL: empty content, which would read as no record."""
        if not content:
            raise os_error(errno.EINVAL, name)
        path = self._path(name)
        replace_file(path, content, durable=True)
        _sync_directory(self._directory)

    async def remove(self, name: str) -> None:
        """Forget the record; missing is fine."""
        path = self._path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        _sync_directory(self._directory)

    async def names(self) -> tuple[str, ...]:
        """All record names, sorted; leftovers of interrupted writes are none."""
        with os.scandir(self._directory) as entries:
            files = [entry.name for entry in entries if entry.name.endswith(_SUFFIX)]
        return tuple(sorted(unquote(file.removesuffix(_SUFFIX)[1:]) for file in files if file.startswith("=")))

    def _path(self, name: str) -> Path:
        # The first character keeps "." and ".." from being what they are, and hides no file.
        file = f"={quote(name, safe='', errors='surrogatepass')}{_SUFFIX}"
        if len(file) > _NAME_BYTES - len(".new"):
            raise os_error(errno.ENAMETOOLONG, name[:80])
        return self._directory / file


class MemoryStateFiles:
    """Records of a node that has no disk."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}

    async def read(self, name: str) -> bytes | None:
        """The record, or None."""
        return self._records.get(name)

    async def write(self, name: str, content: bytes) -> None:
        """Replace the record. EINVAL: empty content."""
        if not content:
            raise os_error(errno.EINVAL, name)
        self._records[name] = content

    async def remove(self, name: str) -> None:
        """Forget the record; missing is fine."""
        self._records.pop(name, None)

    async def names(self) -> tuple[str, ...]:
        """All record names, sorted."""
        return tuple(sorted(self._records))


def replace_file(path: Path, content: bytes, *, durable: bool) -> None:
    """Give a file new content in one step, so that a reader sees the old or the new; `durable` survives power loss."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _read(path: Path) -> tuple[bytes, bool]:
    """The content, and whether the file still had its name afterwards.

    A file that is unlinked or replaced between open and read can come back empty or old, so it counts only if it is
    still the one that the name leads to.
    """
    try:
        with path.open("rb") as file:
            content = file.read()
            opened = os.fstat(file.fileno())
    except FileNotFoundError:
        return b"", True
    try:
        named = path.stat()
    except FileNotFoundError:
        return b"", True
    return content, opened.st_nlink > 0 and os.path.samestat(opened, named)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
