"""What a simulated host reaches over its network: exports, block devices, and what is written on them.

One backend serves all hosts, so a file system made on one node is found on the next. Methods raise OSError with the
errno that the kernel or an initiator would end with, and nothing else.
"""

import errno
import os
from asyncio import Lock
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

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


@dataclass(frozen=True, slots=True)
class Area:
    """Bytes that a server keeps: of a device, or of an exported file system.

    Attributes:
        kind: which of the two.
        name: the device's identity, or `server:/export`.
    """

    kind: Literal["device", "export"]
    name: str


class Backend(Protocol):
    """The servers on the other end.

    What is read and written by offset raises ENODEV for a device that is gone, ESTALE for an export that is, and
    ETIMEDOUT where the server does not answer: then what was to be written may be there. ENOSPC: the server is full.
    EROFS: it takes no writes.
    """

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

    async def read(self, area: Area, offset: int, length: int) -> bytes:
        """Bytes of an area; what was never written is zeros. EIO: beyond its end."""

    async def write(self, area: Area, offset: int, content: bytes) -> None:
        """Put bytes into an area. EIO: beyond its end."""

    def exclusive(self, area: Area) -> AbstractAsyncContextManager[Any]:
        """Keeps others out who ask for the same area in the same way: a server makes one file at a time."""

    async def discard(self, identity: str, size_bytes: int) -> None:
        """Make all of a device read as zeros, as mkfs does before it begins. ENODEV: it is gone."""


class MemoryBackend:
    """Servers that exist in memory alone: for hosts without a NAS, and for tests.

    Attributes:
        exports: usage per source.
        targets: identity per (transport, address, name, unit), as `unit_key` builds it.
        sizes: bytes per device identity.
        superblocks: what is on the devices.
        contents: bytes per area, as far as they have been written.
        passwords: where set, the CHAP password that a device wants.
        outage: errno of every call while set.
    """

    def __init__(self) -> None:
        self.exports: dict[str, FsStats] = {}
        self.targets: dict[tuple[str, ...], str] = {}
        self.sizes: dict[str, int] = {}
        self.superblocks: dict[str, Superblock] = {}
        self.contents: dict[Area, bytearray] = {}
        self.passwords: dict[str, str] = {}
        self.outage: int | None = None
        self._locks: dict[Area, Lock] = {}

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
        self.contents[Area("device", copy)] = self.contents.get(Area("device", identity), bytearray())[:]

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

    async def read(self, area: Area, offset: int, length: int) -> bytes:
        """Answer from `contents`."""
        self._check_range(area, offset + length)
        return bytes(self.contents.get(area, b"")[offset : offset + length]).ljust(length, b"\0")

    async def write(self, area: Area, offset: int, content: bytes) -> None:
        """Keep in `contents`."""
        self._check_range(area, offset + len(content))
        kept = self.contents.setdefault(area, bytearray())
        kept.extend(bytes(max(0, offset - len(kept))))
        kept[offset : offset + len(content)] = content

    def exclusive(self, area: Area) -> Lock:
        """A lock per area."""
        return self._locks.setdefault(area, Lock())

    async def discard(self, identity: str, size_bytes: int) -> None:
        """Forget the `contents`; the superblock is written anew anyway."""
        self._check_range(Area("device", identity), size_bytes)
        self.contents.pop(Area("device", identity), None)

    def _check_range(self, area: Area, end: int) -> None:
        self._reach(area.name)
        if area.kind == "export":
            if area.name not in self.exports:
                raise os_error(errno.ESTALE, area.name)
        elif area.name not in self.sizes:
            raise os_error(errno.ENODEV, area.name)
        elif end > self.sizes[area.name]:
            raise os_error(errno.EIO, area.name)

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
