"""The real file system as kubelet and pods see it: directories below one that is ours, and files of real mounts.

No path leads out of the directory: each part is opened below the one before it, and a symbolic link is an error (ELOOP,
ENOTDIR). Nothing is ever removed recursively, and nothing below a mount.

A driver may only pretend to mount. What a pod would write there would land on the disk of this machine, so data is read
and written only where the kernel says that something is mounted, and for a raw volume where there is a block device.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from csisim.sim.slots import SlotTable

_BELOW: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MOUNTS: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_MOST_BYTES: Final = 1 << 20


def mount_points(directory: str) -> list[str]:
    """What is mounted below a directory, sorted, once for each mount; empty where the kernel cannot tell."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    paths = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in lines)
    return sorted(path for path in paths if path.startswith(f"{directory}/"))


class RealPaths:
    """Kubelet's directories on this machine; see `csisim.co.node_side.Paths`.

    Args:
        directory: absolute, without symbolic links; paths outside of it are refused (EXDEV).
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def make_dir(self, path: str) -> None:
        """With parents; an existing one is fine."""
        with self._parent(path, make=True) as (parent, name):
            if name:
                _make_dir(parent, name)

    def make_file(self, path: str) -> None:
        """An empty file, with parents; an existing one is fine."""
        with self._parent(path, make=True) as (parent, name):
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY | _FILE, 0o640, dir_fd=parent))

    def remove(self, path: str) -> None:
        """An empty directory or file; missing is fine. ENOTEMPTY. EBUSY: something is mounted there."""
        with suppress(FileNotFoundError), self._parent(path) as (parent, name):
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(name, dir_fd=parent)
            elif stat.S_ISREG(found.st_mode) and found.st_size:
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
            else:
                os.unlink(name, dir_fd=parent)

    def exists(self, path: str) -> bool:
        """Whether anything is here; what cannot be looked at, such as a mount whose server is gone, is here."""
        try:
            with self._parent(path) as (parent, name):
                os.stat(name or ".", dir_fd=parent, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise
        return True

    def is_directory(self, path: str) -> bool:
        """Whether a directory is here. ENOENT."""
        with self._parent(path) as (parent, name):
            return stat.S_ISDIR(os.stat(name or ".", dir_fd=parent, follow_symlinks=False).st_mode)

    def listing(self, path: str) -> list[str]:
        """All paths below, sorted; what is inside of a mount is a volume's, and is not looked at."""
        self._parts(path)
        found: list[str] = []
        mounted = set(mount_points(self.directory))
        for directory, directories, files in os.walk(path):
            inside = [f"{directory}/{name}" for name in directories]
            found += [*inside, *(f"{directory}/{name}" for name in files)]
            directories[:] = [name for name in directories if f"{directory}/{name}" not in mounted]
        return sorted(found)

    def clear(self) -> list[str]:
        """Take away every empty directory, the innermost first, and then the directory itself; gives what is left."""
        for path in sorted(self.listing(self.directory), key=len, reverse=True):
            with suppress(OSError):
                if self.is_directory(path):
                    self.remove(path)
        left = self.listing(self.directory)
        if not left:
            with suppress(OSError):
                Path(self.directory).rmdir()
        return left

    @contextmanager
    def opened(self, path: str, flags: int) -> Iterator[int]:
        """A file or directory; O_PATH and O_DIRECTORY may be among the flags."""
        with self._parent(path) as (parent, name):
            descriptor = os.open(name, flags | _FILE, 0o640, dir_fd=parent)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open directory that a path is in, and the last part of it, "" for the directory of all."""
        parts = self._parts(path)
        descriptor = os.open(self.directory, _BELOW)
        try:
            for part in parts[:-1]:
                if make:
                    _make_dir(descriptor, part)
                below = os.open(part, _BELOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor, parts[-1] if parts else ""
        finally:
            os.close(descriptor)

    def _parts(self, path: str) -> list[str]:
        parts = path.removeprefix(self.directory).split("/")[1:]
        inside = path == self.directory or path.startswith(f"{self.directory}/")
        if not inside or "\0" in path or any(part in {"", ".", ".."} for part in parts):
            raise OSError(errno.EXDEV, f"outside of {self.directory}", path[:200])
        return parts


def _make_dir(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o750, dir_fd=parent)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise


class RealFiles:
    """What pods see of their volumes; see `csisim.co.node_side.PodFiles`.

    Args:
        paths: of the node.

    Attributes:
        used: published paths at which data was really read or written.
        pretended: published paths that the kernel knows no mount and no device for: nothing was done there (ENODEV).
    """

    def __init__(self, paths: RealPaths) -> None:
        self._paths = paths
        self.used: dict[str, None] = {}
        self.pretended: dict[str, None] = {}

    async def write(self, target: str, name: str, content: bytes) -> None:
        """Replace a file's content, all of it or nothing."""
        if self._is_device(target):
            with self._paths.opened(target, os.O_RDWR | os.O_SYNC) as device:
                await SlotTable(_Device(device), target).write(name, content)
            return
        fresh = f".{_plain(name)}.new"
        with self._paths.opened(target, _BELOW) as directory:
            file = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | _FILE, 0o640, dir_fd=directory)
            try:
                with os.fdopen(file, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(file)
                os.rename(fresh, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                with suppress(OSError):
                    os.unlink(fresh, dir_fd=directory)
                raise

    async def read(self, target: str, name: str) -> bytes | None:
        """The content, None if there is no such file."""
        if self._is_device(target):
            with self._paths.opened(target, os.O_RDONLY) as device:
                return await SlotTable(_Device(device), target).read(name)
        with self._paths.opened(target, _BELOW) as directory:
            try:
                file = os.open(_plain(name), os.O_RDONLY | _FILE, dir_fd=directory)
            except FileNotFoundError:
                return None
            with os.fdopen(file, "rb") as stream:
                return stream.read(_MOST_BYTES)

    async def names(self, target: str) -> list[str]:
        """The files there are, without what others put there in directories."""
        if self._is_device(target):
            with self._paths.opened(target, os.O_RDONLY) as device:
                return await SlotTable(_Device(device), target).names()
        with self._paths.opened(target, os.O_RDONLY | os.O_DIRECTORY) as directory, os.scandir(directory) as entries:
            return sorted(each.name for each in entries if each.is_file(follow_symlinks=False))

    def _is_device(self, target: str) -> bool:
        """Whether a target is a raw volume; else it is a real mount. ENODEV: neither, so nobody may write there."""
        with self._paths.opened(target, getattr(os, "O_PATH", os.O_RDONLY)) as found:
            mode = os.fstat(found).st_mode
        device = stat.S_ISBLK(mode)
        mounted = stat.S_ISDIR(mode) and (target in mount_points(self._paths.directory) or os.path.ismount(target))
        if not device and not mounted:
            self.pretended.setdefault(target)
            raise OSError(errno.ENODEV, "nothing is really mounted there", target)
        self.used.setdefault(target)
        return device


def _plain(name: str) -> str:
    if not name or name in {".", ".."} or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not the name of a file", name[:200])
    return name


class _Device:
    """An open block device, as an image for `SlotTable`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def read(self, offset: int, length: int) -> bytes:
        """Past the page cache of this machine: another one may have written."""
        with suppress(AttributeError, OSError):
            os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_DONTNEED)
        found = os.pread(self._descriptor, length, offset)
        if len(found) != length:
            raise OSError(errno.EIO, "the device ends too early")
        return found

    async def write(self, offset: int, content: bytes) -> None:
        """All of it."""
        if os.pwrite(self._descriptor, content, offset) != len(content):
            raise OSError(errno.EIO, "the device took too little")

    def exclusive(self) -> AbstractAsyncContextManager[Any]:
        """Nothing here waits, so nobody comes in between; and a raw volume has no writers elsewhere."""
        return nullcontext()
