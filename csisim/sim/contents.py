"""Files of pods: reading and writing at a published path, down through the mount table to wherever the bytes are.

Bytes of a mounted volume are on its server, so snapshots, clones and deletes carry them. At a path on which nothing is
mounted they land on the host's own disk, as on a real machine: so a pod whose volume is not mounted loses them.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

from csisim.sim.backend import Area, Backend, os_error
from csisim.sim.devices import SimDevices
from csisim.sim.disk import NAME_BYTES, Disk
from csisim.sim.mount_table import MountTable
from csisim.sim.mounts import NETWORK_FILE_SYSTEMS
from csisim.sim.slots import SlotTable


class Files(Protocol):
    """Small files by name, in a `SlotTable` or in a directory; see there."""

    async def write(self, name: str, content: bytes) -> None:
        """Give a file new content."""

    async def read(self, name: str) -> bytes | None:
        """A file's content, None where there is no such file."""

    async def names(self) -> list[str]:
        """All names, sorted."""

    async def remove(self, name: str) -> None:
        """Remove a file. ENOENT."""


class Contents:
    """What pods of one host see at their volumes' paths.

    Every method raises OSError with the errno that a system call would end with:
        ENOENT: the target is missing. EINVAL, ENAMETOOLONG: the name cannot be a file's.
        EROFS: a write through a read-only mount. ESTALE: the export is gone. EIO: the device is gone.
        ETIMEDOUT: the server is away; what was to be written may be there. ENOSPC. EFBIG: more than 3584 bytes.

    Args:
        table: what is mounted on the host.
        disk: the host's own.
        devices: the host's; their backend serves the exports too.
        latency_s: how long each operation takes at least; others run meanwhile in any case.

    Attributes:
        removed: called with the path of each file that was removed.
    """

    def __init__(self, table: MountTable, disk: Disk, devices: SimDevices, *, latency_s: float = 0.0) -> None:
        self._table = table
        self._disk = disk
        self._devices = devices
        self._latency_s = latency_s
        self.removed: Callable[[str], None] = lambda _path: None

    async def write(self, target: str, name: str, content: bytes) -> None:
        """Give a file new content.

        Args:
            target: path of a directory, or of a raw block device, where `name` picks a slot of 4 KiB.
            name: below the target; at most 255 bytes.
            content: at most 3584 bytes on a volume, in one piece: a reader sees the old or the new.
        """
        _check_name(name)
        files, prefix = await self._files(target, to_write=True)
        await files.write(prefix + name, content)

    async def read(self, target: str, name: str) -> bytes | None:
        """A file's content, None where there is no such file. Arguments as for `write`."""
        _check_name(name)
        files, prefix = await self._files(target)
        return await files.read(prefix + name)

    async def names(self, target: str) -> list[str]:
        """All files below a target, sorted."""
        files, prefix = await self._files(target)
        return [name.removeprefix(prefix) for name in await files.names() if name.startswith(prefix)]

    async def remove(self, target: str, name: str) -> None:
        """Remove a file, wherever the mounts lead. ENOENT: there is no such file."""
        _check_name(name)
        files, prefix = await self._files(target, to_write=True)
        await files.remove(prefix + name)
        self.removed(f"{target}/{name}")

    async def _files(self, target: str, *, to_write: bool = False) -> tuple[Files, str]:
        """The files of what a target leads to, and the part of their names that leads to the target."""
        await asyncio.sleep(self._latency_s)
        path = self._disk.resolve(target)
        holder = self._table.covering(path)
        if holder is None:
            return self._on_disk(path), ""
        point = holder.point
        if to_write and point.readonly:
            raise os_error(errno.EROFS, target)
        below = path.removeprefix(point.path)
        if point.fs_type == "none":
            return self._on_disk(point.source + below), ""
        source, _, inside = point.source.partition("[/")
        prefix = f"{inside.removesuffix(']')}{below}/".lstrip("/")
        if point.fs_type in NETWORK_FILE_SYSTEMS:
            return self._on_server(Area("export", source), target), prefix
        try:
            area = Area("device", self._devices.identity(source))
        except OSError as error:
            raise os_error(errno.EIO, target) from error
        return self._on_server(area, target), prefix if point.fs_type else ""

    def _on_disk(self, path: str) -> Files:
        if self._disk.is_directory(path):
            return _Directory(self._disk, path)
        return SlotTable(_FileImage(self._disk, path), path)

    def _on_server(self, area: Area, target: str) -> Files:
        return SlotTable(_AreaImage(self._devices.backend, area, target), target)


class _Directory:
    """Files of the host's own disk, below a directory."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path

    async def write(self, name: str, content: bytes) -> None:
        self._disk.write(f"{self._path}/{name}", content)

    async def read(self, name: str) -> bytes | None:
        try:
            return self._disk.read(f"{self._path}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            return None

    async def names(self) -> list[str]:
        found = self._disk.listing(self._path)
        return [path.removeprefix(f"{self._path}/") for path in found if not self._disk.is_directory(path)]

    async def remove(self, name: str) -> None:
        self._disk.unlink(f"{self._path}/{name}")


class _FileImage:
    """A file of the host's own disk where a device should be."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path

    async def read(self, offset: int, length: int) -> bytes:
        return self._disk.read(self._path)[offset : offset + length].ljust(length, b"\0")

    async def write(self, offset: int, content: bytes) -> None:
        old = self._disk.read(self._path).ljust(offset, b"\0")
        self._disk.write(self._path, old[:offset] + content + old[offset + len(content) :])

    def exclusive(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext()  # nothing here waits


class _AreaImage:
    """Bytes of a server, as a host sees them."""

    def __init__(self, backend: Backend, area: Area, target: str) -> None:
        self._backend = backend
        self._area = area
        self._target = target

    async def read(self, offset: int, length: int) -> bytes:
        try:
            return await self._backend.read(self._area, offset, length)
        except OSError as error:
            raise self._seen(error) from error

    async def write(self, offset: int, content: bytes) -> None:
        try:
            await self._backend.write(self._area, offset, content)
        except OSError as error:
            raise self._seen(error) from error

    def exclusive(self) -> AbstractAsyncContextManager[Any]:
        return self._backend.exclusive(self._area)

    def _seen(self, error: OSError) -> OSError:
        """A device that is gone from below is an I/O error to who has it mounted."""
        number = errno.EIO if error.errno == errno.ENODEV else error.errno or errno.EIO
        return os_error(number, self._target)


def _check_name(name: str) -> None:
    if "\0" in name or any(part in {"", ".", ".."} for part in name.split("/")):
        raise os_error(errno.EINVAL, name[:80])
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:
        raise os_error(errno.EILSEQ, name[:80].encode("ascii", "replace").decode()) from None
    if size > NAME_BYTES:
        raise os_error(errno.ENAMETOOLONG, name[:80])
