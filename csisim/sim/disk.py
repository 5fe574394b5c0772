"""The disk of one host, below its mount table: one system call's worth of work each, never recursive.

`RealDisk` is the machine's own; `MemoryDisk` is a tree in memory for hosts that are simulated altogether. Both refuse
alike: every path is absolute; EINVAL: it is not, or is no path at all; ENAMETOOLONG; ENOTDIR: it leads through a file.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from csisim.sim.backend import os_error

PATH_BYTES = 4096
NAME_BYTES = 255


class Disk(Protocol):
    """Directories and files of one host."""

    def resolve(self, path: str) -> str:
        """The path with all symbolic links followed; it need not exist."""

    def resolve_parent(self, path: str) -> str:
        """The path with the links of its parent followed, itself not: what unlink and rmdir work on."""

    def is_directory(self, path: str) -> bool:
        """Whether a directory is here. ENOENT: nothing is."""

    def exists(self, path: str) -> bool:
        """Whether anything is here; every error but "not there" is raised."""

    def make_dir(self, path: str) -> None:
        """Create a directory and its parents; an existing directory is fine. EEXIST: a file."""

    def make_file(self, path: str) -> None:
        """Create an empty file and its parent directories; an existing file keeps its content. EISDIR."""

    def remove(self, path: str) -> None:
        """Remove an empty directory or an empty file; missing is fine. ENOTEMPTY: it has content."""

    def unlink(self, path: str) -> None:
        """Remove a file with its content. ENOENT: missing. EISDIR: a directory."""

    def read(self, path: str) -> bytes:
        """A file's content. ENOENT: missing. EISDIR: a directory."""

    def write(self, path: str, content: bytes) -> None:
        """Give a file new content; it is made where it is missing. ENOENT: its directory is. EISDIR."""

    def listing(self, path: str) -> list[str]:
        """All paths below a directory, sorted; nothing is below a file, or where nothing is."""


class RealDisk:
    """The disk of the machine that this process runs on."""

    def resolve(self, path: str) -> str:
        """See `Disk`."""
        return os.path.realpath(_checked(path))

    def resolve_parent(self, path: str) -> str:
        """See `Disk`."""
        head, _, tail = _checked(path).rpartition("/")
        return f"{os.path.realpath(head or '/').rstrip('/')}/{tail}"

    def is_directory(self, path: str) -> bool:
        """See `Disk`."""
        return stat.S_ISDIR(Path(_checked(path)).stat().st_mode)

    def exists(self, path: str) -> bool:
        """See `Disk`."""
        try:
            Path(_checked(path)).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def make_dir(self, path: str) -> None:
        """See `Disk`."""
        Path(_checked(path)).mkdir(mode=0o750, parents=True, exist_ok=True)

    def make_file(self, path: str) -> None:
        """See `Disk`."""
        path = _checked(path)
        self.make_dir(str(Path(path).parent))
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o640))

    def remove(self, path: str) -> None:
        """See `Disk`."""
        path = _checked(path)
        try:
            found = Path(path).lstat()
            if stat.S_ISDIR(found.st_mode):
                Path(path).rmdir()
            elif stat.S_ISREG(found.st_mode) and found.st_size:
                raise os_error(errno.ENOTEMPTY, path)
            else:
                Path(path).unlink()
        except (FileNotFoundError, NotADirectoryError):
            return

    def unlink(self, path: str) -> None:
        """See `Disk`."""
        Path(_checked(path)).unlink()

    def read(self, path: str) -> bytes:
        """See `Disk`."""
        return Path(_checked(path)).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """See `Disk`."""
        Path(_checked(path)).write_bytes(content)

    def listing(self, path: str) -> list[str]:
        """See `Disk`."""
        found: list[str] = []
        for directory, directories, files in os.walk(_checked(path), onerror=_unless_missing):
            found += [f"{directory.rstrip('/')}/{name}" for name in (*directories, *files)]
        return sorted(found)


Tree: TypeAlias = "dict[str, Tree | bytes]"


class MemoryDisk:
    """A disk in memory, without symbolic links. It outlives whoever uses it, as a disk does a reboot."""

    def __init__(self) -> None:
        self._root: Tree = {}

    def resolve(self, path: str) -> str:
        """See `Disk`; `..` goes to the parent in the path, whatever is there."""
        parts: list[str] = []
        for part in _parts(path):
            if part != "..":
                parts.append(part)
            elif parts:
                parts.pop()
        return "/" + "/".join(parts)

    def resolve_parent(self, path: str) -> str:
        """See `Disk`."""
        head, _, tail = _checked(path).rpartition("/")
        return f"{self.resolve(head or '/').rstrip('/')}/{tail}"

    def is_directory(self, path: str) -> bool:
        """See `Disk`."""
        return isinstance(self._find(path), dict)

    def exists(self, path: str) -> bool:
        """See `Disk`."""
        try:
            self._find(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def make_dir(self, path: str) -> None:
        """See `Disk`."""
        found = self._root
        parts = _parts(self.resolve(path))
        for place, part in enumerate(parts, start=1):
            below = found.setdefault(_named(part, path), {})
            if not isinstance(below, dict):
                raise os_error(errno.EEXIST if place == len(parts) else errno.ENOTDIR, path)
            found = below

    def make_file(self, path: str) -> None:
        """See `Disk`."""
        parent, name = self.resolve(path).rsplit("/", 1)
        _named(name, path)
        self.make_dir(parent or "/")
        directory = self._directory(parent or "/")
        if isinstance(directory.get(name, directory if not name else b""), dict):
            raise os_error(errno.EISDIR, path)
        directory.setdefault(name, b"")

    def remove(self, path: str) -> None:
        """See `Disk`."""
        try:
            found = self._find(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        if found is self._root:
            raise os_error(errno.EBUSY, path)
        if found:
            raise os_error(errno.ENOTEMPTY, path)
        self._forget(path)

    def unlink(self, path: str) -> None:
        """See `Disk`."""
        self.read(path)
        self._forget(path)

    def read(self, path: str) -> bytes:
        """See `Disk`."""
        found = self._find(path)
        if isinstance(found, dict):
            raise os_error(errno.EISDIR, path)
        return found

    def write(self, path: str, content: bytes) -> None:
        """See `Disk`."""
        parent, name = self.resolve(path).rsplit("/", 1)
        directory = self._directory(parent or "/")
        if not name or isinstance(directory.get(_named(name, path)), dict):
            raise os_error(errno.EISDIR, path)
        directory[name] = content

    def listing(self, path: str) -> list[str]:
        """See `Disk`."""
        found: list[str] = []
        if self.exists(path) and self.is_directory(path):
            _collect(self._directory(path), self.resolve(path).rstrip("/"), found)
        return sorted(found)

    def _find(self, path: str) -> "Tree | bytes":
        """What is here. ENOENT. ENOTDIR."""
        found: Tree | bytes = self._root
        above: list[Tree] = []
        for part in _parts(path):
            if not isinstance(found, dict):
                raise os_error(errno.ENOTDIR, path)
            if part == "..":
                found = above.pop() if above else found
                continue
            below = found.get(_named(part, path))
            if below is None:
                raise os_error(errno.ENOENT, path)
            above.append(found)
            found = below
        return found

    def _directory(self, path: str) -> Tree:
        found = self._find(path)
        if not isinstance(found, dict):
            raise os_error(errno.ENOTDIR, path)
        return found

    def _forget(self, path: str) -> None:
        parent, name = self.resolve(path).rsplit("/", 1)
        del cast("Tree", self._find(parent or "/"))[name]


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _collect(directory: Tree, path: str, found: list[str]) -> None:
    for name, below in directory.items():
        found.append(f"{path}/{name}")
        if isinstance(below, dict):
            _collect(below, f"{path}/{name}", found)


def _parts(path: str) -> list[str]:
    return [part for part in _checked(path).split("/") if part not in {"", "."}]


def _named(name: str, path: str) -> str:
    if _size_bytes(name) > NAME_BYTES:
        raise os_error(errno.ENAMETOOLONG, path[:80])
    return name


def _size_bytes(text: str) -> int:
    """How long the kernel finds a name."""
    return len(text) if text.isascii() else len(os.fsencode(text))


def _checked(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise os_error(errno.EINVAL, path[:80])
    try:
        size = _size_bytes(path)
    except UnicodeEncodeError:
        raise os_error(errno.EILSEQ, path[:80].encode("ascii", "replace").decode()) from None
    if size >= PATH_BYTES:
        raise os_error(errno.ENAMETOOLONG, path[:80])
    return path.rstrip("/") or "/"
