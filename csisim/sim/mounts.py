"""The simulated `Mounter`: a Linux mount table over the directories of a disk.

Directories and files of paths are made and removed on the host's disk (on the real one any process sees them come and
go); what is mounted on them exists in the table alone. Symbolic links are followed as the kernel follows them.
"""

import asyncio
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from csisim.host import FsStats, MountPoint
from csisim.sim.backend import Backend, Superblock, os_error
from csisim.sim.devices import LOCAL_FILE_SYSTEMS, SimDevices
from csisim.sim.disk import Disk, RealDisk
from csisim.sim.mount_table import Mount, MountTable

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4"})
_INODE_BYTES = 16384
# Those that would make it another system call.
_NOT_OPTIONS = frozenset({"bind", "rbind", "move", "remount"})


def _nothing() -> None:
    """What is called after a change where nobody wants to know."""


class SimMounter:
    """The mount table of one host.

    Args:
        table: what is mounted; shared with nobody else.
        backend: the servers of network file systems.
        devices: the block devices of the same host.
        changed: called after every change of the table.
        latency_s: how long each call takes at least.
        disk: where the directories and files of paths are.
    """

    def __init__(
        self,
        table: MountTable,
        backend: Backend,
        devices: SimDevices,
        *,
        changed: Callable[[], None] = _nothing,
        latency_s: float = 0.0,
        disk: Disk | None = None,
    ) -> None:
        self._disk = disk or RealDisk()
        self._table = table
        self.backend = backend
        self._devices = devices
        self._changed = changed
        self._latency_s = latency_s

    @contextmanager
    def open(self, path: str) -> Iterator[None]:
        """Keep what is mounted at or above this path busy, as a workload with an open file does."""
        held = self._table.pin(self._disk.resolve(path))
        try:
            yield
        finally:
            self._table.unpin(held)

    def all_mounts(self) -> tuple[MountPoint, ...]:
        """Every mount of this host, hidden ones too, oldest first."""
        return self._table.points()

    async def mount(self, source: str, target: str, fs_type: str, options: tuple[str, ...]) -> None:
        """Mount a file system; see `csisim.host.Mounter`. EBUSY: the same one is on top already."""
        await self._wait()
        flags = _flags(options, target)
        if fs_type in NETWORK_FILE_SYSTEMS:
            await self.backend.check_export(source, fs_type)
        elif fs_type in LOCAL_FILE_SYSTEMS:
            await self._check_device(source, fs_type, flags)
        else:
            raise os_error(errno.ENODEV, f"{target} ({fs_type})")
        path = self._disk.resolve(target)
        if not self._disk.is_directory(path):
            raise os_error(errno.ENOTDIR, target)
        top = self._top(path)
        if top and (top.point.source, top.point.fs_type) == (source, fs_type):
            raise os_error(errno.EBUSY, target)
        self._add(MountPoint(path, source, fs_type, flags))

    async def bind(self, source: str, target: str, options: tuple[str, ...]) -> None:
        """Bind a directory or a device node. ENOTDIR: one is a directory, the other is not."""
        await self._wait()
        flags = _flags(options, target)
        path = self._disk.resolve(target)
        onto_directory = self._disk.is_directory(path)
        if self._devices.is_device(source):
            if onto_directory:
                raise os_error(errno.ENOTDIR, target)
            self._add(MountPoint(path, source, "", flags))
            return
        origin = self._disk.resolve(source)
        if self._disk.is_directory(origin) != onto_directory:
            raise os_error(errno.ENOTDIR, target)
        self._add(self._bound(origin, path, flags))

    async def umount(self, target: str) -> None:
        """Take the topmost mount off. EINVAL: none. EBUSY: open files, or mounts below it. ENOENT."""
        await self._wait()
        path = self._disk.resolve(target)
        if not self._table.chain(path) and not self._disk.exists(path):
            raise os_error(errno.ENOENT, target)
        self._table.take_off(path)
        self._changed()

    async def detach(self, target: str) -> None:
        """Take the topmost mount off lazily, as `umount -l` does: its device stays busy until `settle`. EINVAL."""
        await self._wait()
        self._table.detach(self._disk.resolve(target))
        self._changed()

    async def mounts(self, path: str) -> tuple[MountPoint, ...]:
        """The stack at exactly this path, oldest first."""
        await self._wait()
        return tuple(each.point for each in self._table.chain(self._disk.resolve(path)))

    async def mounts_of(self, source: str) -> tuple[MountPoint, ...]:
        """All mounts that show this source."""
        await self._wait()
        return tuple(each.point for each in self._table.showing(source))

    async def make_dir(self, path: str) -> None:
        """Create a directory and its parents. EEXIST: a file. EROFS: below a read-only mount."""
        await self._wait()
        resolved = self._disk.resolve(path)
        if not self._disk.exists(resolved):
            self._check_writable(resolved)
        self._disk.make_dir(resolved)

    async def make_file(self, path: str) -> None:
        """Create an empty file and its parents. EISDIR: a directory. EROFS: below a read-only mount."""
        await self._wait()
        resolved = self._disk.resolve(path)
        if not self._disk.exists(resolved):
            self._check_writable(resolved)
            self._disk.make_file(resolved)
        elif self._disk.is_directory(resolved):
            raise os_error(errno.EISDIR, path)

    async def remove_path(self, path: str) -> None:
        """Rmdir or unlink one path, itself not followed where it is a link. EBUSY: a mount point. ENOTEMPTY."""
        await self._wait()
        resolved = self._disk.resolve_parent(path)
        if self._table.chain(resolved):
            raise os_error(errno.EBUSY, path)
        self._check_writable(resolved)
        self._disk.remove(resolved)

    async def exists(self, path: str) -> bool:
        """Whether anything is at this path, device nodes included. OSError other than "not there" is raised."""
        await self._wait()
        return self._devices.is_device(path) or self._disk.exists(self._disk.resolve(path))

    async def statfs(self, path: str) -> FsStats:
        """Usage of what is mounted here. EINVAL: nothing. ESTALE: the export is gone. EIO: the device is gone."""
        await self._wait()
        top = self._mounted(path)
        if top.point.fs_type in NETWORK_FILE_SYSTEMS:
            return await self.backend.fs_stats(_whole(top.point.source))
        superblock = await self._superblock(top)
        inodes = superblock.size_bytes // _INODE_BYTES
        return FsStats(superblock.size_bytes, 0, superblock.size_bytes, inodes, 0, inodes)

    async def resize_fs(self, path: str) -> int:
        """Grow a local file system to its device. EOPNOTSUPP: not a local one. EROFS. EIO: the device is gone."""
        await self._wait()
        top = self._mounted(path)
        if top.point.fs_type not in LOCAL_FILE_SYSTEMS:
            raise os_error(errno.EOPNOTSUPP, path)
        if top.point.readonly:
            raise os_error(errno.EROFS, path)
        await self._superblock(top)
        return await self._devices.grow_fs(_whole(top.point.source))

    async def _wait(self) -> None:
        if self._latency_s:
            await asyncio.sleep(self._latency_s)

    async def _check_device(self, device: str, fs_type: str, flags: tuple[str, ...]) -> None:
        """What the kernel checks before it mounts a block device."""
        if not self._devices.is_device(device):
            raise os_error(errno.ENOENT, device)
        superblock = await self._devices.superblock(device)
        if superblock is None or superblock.fs_type != fs_type:
            raise os_error(errno.EINVAL, device)
        for other in self._table.showing(device):
            # One device has one superblock, and that is either writable or not.
            if other.point.fs_type and other.point.readonly != ("ro" in flags):
                raise os_error(errno.EBUSY, device)
        if fs_type == "xfs" and "nouuid" not in flags:
            for point in self._table.points():
                if point.fs_type == "xfs" and _whole(point.source) != device:
                    twin = await self._devices.superblock(_whole(point.source))
                    if twin and twin.fs_id == superblock.fs_id:
                        raise os_error(errno.EINVAL, device)

    async def _superblock(self, mount: Mount) -> Superblock:
        try:
            superblock = await self._devices.superblock(_whole(mount.point.source))
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise os_error(errno.EIO, mount.point.path) from None
            raise
        if superblock is None:
            raise os_error(errno.EIO, mount.point.path)
        return superblock

    def _bound(self, origin: str, path: str, flags: tuple[str, ...]) -> MountPoint:
        """The row of a directory's bind mount: it shows the source of what holds the directory."""
        holder = self._table.covering(origin)
        if holder is None:
            return MountPoint(path, origin, "none", flags)
        below = origin.removeprefix(holder.point.path)
        if holder.point.readonly and "ro" not in flags:
            flags = ("ro", *(flag for flag in flags if flag != "rw"))
        source = f"{holder.point.source}[{below}]" if below else holder.point.source
        return MountPoint(path, source, holder.point.fs_type, flags)

    def _add(self, point: MountPoint) -> None:
        if point.path == "/":
            raise os_error(errno.EBUSY, point.path)
        self._table.add(point)
        self._changed()

    def _top(self, path: str) -> Mount | None:
        stack = self._table.chain(path)
        return stack[-1] if stack else None

    def _mounted(self, path: str) -> Mount:
        top = self._top(self._disk.resolve(path))
        if top is None or not top.point.fs_type:
            raise os_error(errno.EINVAL, path)
        return top

    def _check_writable(self, path: str) -> None:
        holder = self._table.covering(path.rpartition("/")[0])
        if holder and holder.point.readonly:
            raise os_error(errno.EROFS, path)


def _whole(source: str) -> str:
    """The source without the part that a bind mount picked from it."""
    return source.partition("[/")[0]


def _flags(options: tuple[str, ...], target: str) -> tuple[str, ...]:
    """Mount options in the table's form: one of rw and ro comes first, nothing twice."""
    given = [flag for option in options for flag in option.split(",") if flag]
    if any(flag in _NOT_OPTIONS for flag in given):
        raise os_error(errno.EINVAL, target)
    access = "ro" if "ro" in given else "rw"
    return (access, *dict.fromkeys(flag for flag in given if flag not in ("rw", "ro")))
