"""What the node service needs of its machine: mount table, block devices, state files.

The composition root puts in an implementation (`csisim.sim` has the simulated one) and wraps it to inject faults.
Every method may raise OSError with the errno of the system call it stands for, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One row of the mount table, as in /proc/self/mountinfo.

    Attributes:
        path: absolute path without trailing slash.
        source: `server:/export`, a device path, or for a bind mount the source of what was bound.
        fs_type: for example nfs, ext4; "" for a bind-mounted block device.
        options: such as rw, ro, noatime; never both rw and ro.
    """

    path: str
    source: str
    fs_type: str
    options: tuple[str, ...]

    @property
    def readonly(self) -> bool:
        """Whether this mount refuses writes."""
        return "ro" in self.options


@dataclass(frozen=True, slots=True)
class FsStats:
    """What statfs tells of a mounted file system, in bytes and inodes."""

    total_bytes: int
    used_bytes: int
    available_bytes: int
    total_inodes: int
    used_inodes: int
    available_inodes: int


class Mounter(Protocol):
    """The mount table and the paths under it."""

    async def mount(self, source: str, target: str, fs_type: str, options: tuple[str, ...]) -> None:
        """Mount a file system on an existing directory. ENOENT: no such export, device or directory.

        The option `gid=<group>` gives all its files to that group, where the file system can.
        """

    async def bind(self, source: str, target: str, options: tuple[str, ...]) -> None:
        """Make `source` (a directory, or a device node) appear at the existing `target` too."""

    async def umount(self, target: str) -> None:
        """Take the topmost mount off. EINVAL: not a mount point. EBUSY: in use, and still mounted."""

    async def mounts(self, path: str) -> tuple[MountPoint, ...]:
        """All mounts at exactly this path, oldest first; empty where it is not a mount point."""

    async def mounts_of(self, source: str) -> tuple[MountPoint, ...]:
        """All mounts that show this source, bind mounts included."""

    async def make_dir(self, path: str) -> None:
        """Create a directory and its missing parents; an existing directory is fine. EEXIST: it is a file."""

    async def make_file(self, path: str) -> None:
        """Create an empty file and its missing parent directories; an existing file is fine. EISDIR, EEXIST."""

    async def remove_path(self, path: str) -> None:
        """Rmdir or unlink one path, never recursively. Missing is fine.

        EBUSY: a mount point. ENOTEMPTY: a directory with entries, or a file with content; nothing was deleted.
        """

    async def exists(self, path: str) -> bool:
        """Whether anything is at this path. An error is an error, not a no."""

    async def statfs(self, path: str) -> FsStats:
        """Usage of the file system mounted at this path. EINVAL: not a mount point. ESTALE: its server lost it."""

    async def resize_fs(self, path: str) -> int:
        """Grow the file system at this path to its device; returns its size in bytes."""


class Devices(Protocol):
    """Network block devices: log in, find the node by its direct path, log out."""

    async def connect(self, transport: str, attributes: Mapping[str, str]) -> str:
        """Log in to a target (`iscsi`: portal, iqn, lun; `nvmeof`: address, port, nqn, nsid; both: credentials).

        Already connected is fine. Returns the direct path at which the device will appear, which may take a while.
        ECONNREFUSED: nobody listens. ENOENT: no such target.
        """

    async def present(self, device: str) -> bool:
        """Whether the device node is there now."""

    async def size_bytes(self, device: str) -> int:
        """The capacity the host sees. ENODEV: gone."""

    async def rescan(self, device: str) -> None:
        """Ask the target for its size again. ENODEV: gone."""

    async def format_of(self, device: str) -> str:
        """The file system on the device (blkid), "" where there is none. ENODEV: gone."""

    async def make_fs(self, device: str, fs_type: str) -> None:
        """Make a file system. EBUSY: the device is mounted, or already has a file system (mkfs without force)."""

    async def disconnect(self, transport: str, attributes: Mapping[str, str]) -> None:
        """Log out of the target. Not connected is fine. EBUSY: the device is mounted."""


class StateFiles(Protocol):
    """Small records that survive a restart of the driver: what is staged where."""

    async def read(self, name: str) -> bytes | None:
        """The record, or None where there is none. An empty or vanished file is no record."""

    async def write(self, name: str, content: bytes) -> None:
        """Replace the record atomically and durably: temporary file, sync, rename, sync of the directory."""

    async def remove(self, name: str) -> None:
        """Forget the record. Missing is fine."""

    async def names(self) -> tuple[str, ...]:
        """All record names, sorted."""


@dataclass(frozen=True, slots=True)
class NodeHost:
    """One node's operating system, as the node service sees it."""

    mounter: Mounter
    devices: Devices
    files: StateFiles
