"""Paths of the real disk below the simulated mount table: one system call's worth of work each, never recursive."""

import errno
import os
import stat
from pathlib import Path

from csisim.sim.backend import os_error

PATH_BYTES = 4096


def resolve(path: str) -> str:
    """The path with all symbolic links followed. EINVAL: not absolute, or no path at all. ENAMETOOLONG."""
    return os.path.realpath(_checked(path))


def resolve_parent(path: str) -> str:
    """The path with the links of its parent followed, itself not: what unlink and rmdir work on."""
    head, _, tail = _checked(path).rpartition("/")
    return f"{os.path.realpath(head or '/').rstrip('/')}/{tail}"


def is_directory(path: str) -> bool:
    """Whether a directory is here. ENOENT: nothing is."""
    return stat.S_ISDIR(Path(path).stat().st_mode)


def exists(path: str) -> bool:
    """Whether anything is here; every error but "not there" is raised."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def make_dir(path: str) -> None:
    """Create a directory and its parents; an existing directory is fine."""
    Path(path).mkdir(mode=0o750, parents=True, exist_ok=True)


def make_file(path: str) -> None:
    """Create an empty file and its parent directories; an existing file keeps its content."""
    make_dir(str(Path(path).parent))
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o640))


def remove(path: str) -> None:
    """Remove an empty directory or an empty file; missing is fine. ENOTEMPTY: it has content."""
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


def _checked(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise os_error(errno.EINVAL, path[:80])
    try:
        size = len(os.fsencode(path))
    except UnicodeEncodeError:
        raise os_error(errno.EILSEQ, path[:80].encode("ascii", "replace").decode()) from None
    if size >= PATH_BYTES:
        raise os_error(errno.ENAMETOOLONG, path[:80])
    return path.rstrip("/") or "/"
