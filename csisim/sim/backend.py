"""What a simulated host reaches over its network: exports, block devices, and what is written on them.

One backend serves all hosts, so a file system made on one node is found on the next. Methods raise OSError with the
errno that the kernel or an initiator would end with, and nothing else.
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from csisim.host import FsStats


def os_error(number: int, path: str) -> OSError:
    """The OSError of a failed system call on a path."""
    return OSError(number, os.strerror(number), path)


@dataclass(frozen=True, slots=True)
class BackingDevice:
    """What a login reaches.

    Attributes:
        identity: the same on every host and at every login; never used again for another device.
        size_bytes: capacity at the time of the login.
    """

    identity: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Superblock:
    """The file system on a device; a copy of the device has a copy of it.

    Attributes:
        fs_type: for example ext4.
        fs_id: its UUID; a clone has the same one.
        size_bytes: what the file system covers, at most the device.
    """

    fs_type: str
    fs_id: str
    size_bytes: int


class Backend(Protocol):
    """The servers on the other end."""

    async def check_export(self, source: str, fs_type: str) -> None:
        """Mount `server:/export`. ENOENT: not exported. EACCES: not to this host. ETIMEDOUT, ECONNREFUSED."""

    async def fs_stats(self, source: str) -> FsStats:
        """Usage of an export. ESTALE: it is gone. ETIMEDOUT, EIO: its server does not answer."""

    async def login(self, transport: str, attributes: Mapping[str, str]) -> BackingDevice:
        """Reach one device. ECONNREFUSED: nobody listens. ENOENT: no such target or LUN. EACCES: bad credentials."""

    async def capacity_bytes(self, identity: str) -> int:
        """The size of a device now. ENODEV: it is gone."""

    async def superblock(self, identity: str) -> Superblock | None:
        """The file system on a device, None where it is blank. ENODEV: it is gone. EIO: it cannot be read."""

    async def write_superblock(self, identity: str, superblock: Superblock) -> None:
        """Make or grow the file system on a device. ENODEV: it is gone."""


class MemoryBackend:
    """Servers that exist in memory alone: for hosts without a NAS, and for tests.

    Attributes:
        exports: usage per source.
        targets: identity per (transport, address, name, unit), as `unit_key` builds it.
        sizes: bytes per device identity.
        superblocks: what is on the devices.
        passwords: where set, the CHAP password that a device wants.
        outage: errno of every call while set.
    """

    def __init__(self) -> None:
        self.exports: dict[str, FsStats] = {}
        self.targets: dict[tuple[str, ...], str] = {}
        self.sizes: dict[str, int] = {}
        self.superblocks: dict[str, Superblock] = {}
        self.passwords: dict[str, str] = {}
        self.outage: int | None = None

    def export(self, source: str, size_bytes: int) -> None:
        """Offer an empty export of this size."""
        inodes = size_bytes // 512
        self.exports[source] = FsStats(size_bytes, 0, size_bytes, inodes, 0, inodes)

    def offer(self, transport: str, attributes: Mapping[str, str], identity: str, size_bytes: int) -> None:
        """Offer a device under a transport address."""
        self.targets[unit_key(transport, attributes)] = identity
        self.sizes[identity] = size_bytes

    def clone(self, identity: str, copy: str) -> None:
        """Copy a device with what is on it."""
        self.sizes[copy] = self.sizes[identity]
        if identity in self.superblocks:
            self.superblocks[copy] = replace(self.superblocks[identity])

    async def check_export(self, source: str, fs_type: str) -> None:
        """Answer from `exports`."""
        self._reach(source)
        if source not in self.exports:
            raise os_error(errno.ENOENT, f"{source} ({fs_type})")

    async def fs_stats(self, source: str) -> FsStats:
        """Answer from `exports`."""
        self._reach(source)
        if source not in self.exports:
            raise os_error(errno.ESTALE, source)
        return self.exports[source]

    async def login(self, transport: str, attributes: Mapping[str, str]) -> BackingDevice:
        """Answer from `targets`, checking `passwords`."""
        key = unit_key(transport, attributes)
        self._reach(str(key))
        identity = self.targets.get(key)
        if identity is None:
            raise os_error(errno.ENOENT, str(key))
        wanted = self.passwords.get(identity)
        if wanted is not None and attributes.get("node.session.auth.password") != wanted:
            raise os_error(errno.EACCES, str(key))
        return BackingDevice(identity, await self.capacity_bytes(identity))

    async def capacity_bytes(self, identity: str) -> int:
        """Answer from `sizes`."""
        self._reach(identity)
        if identity not in self.sizes:
            raise os_error(errno.ENODEV, identity)
        return self.sizes[identity]

    async def superblock(self, identity: str) -> Superblock | None:
        """Answer from `superblocks`."""
        await self.capacity_bytes(identity)
        return self.superblocks.get(identity)

    async def write_superblock(self, identity: str, superblock: Superblock) -> None:
        """Keep in `superblocks`."""
        await self.capacity_bytes(identity)
        self.superblocks[identity] = superblock

    def _reach(self, what: str) -> None:
        if self.outage is not None:
            raise os_error(self.outage, what)


UNIT_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "iscsi": ("portal", "iqn", "lun"),
    "nvmeof": ("address", "port", "nqn", "nsid"),
}


def unit_key(transport: str, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """What tells one device from another: the transport and its address, without credentials.

    Raises:
        OSError: EPROTONOSUPPORT, or EINVAL where an attribute is missing or has characters no address has.
    """
    names = UNIT_ATTRIBUTES.get(transport)
    if names is None:
        raise os_error(errno.EPROTONOSUPPORT, transport)
    values = tuple(attributes.get(name, "") for name in names)
    if any(not value or not value.isprintable() or "/" in value or " " in value for value in values):
        raise os_error(errno.EINVAL, f"{transport} {dict(zip(names, values, strict=True))}")
    return transport, *values
