"""Plain records that the node service and the simulated host both speak: one mount, and what statfs tells of it."""

from dataclasses import dataclass


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
