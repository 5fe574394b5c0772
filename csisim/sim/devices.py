"""Network block devices of one simulated host: sessions, and the device nodes that appear some time after login."""

import asyncio
import errno
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from csisim.sim.backend import Backend, Superblock, os_error, unit_key

LOCAL_FILE_SYSTEMS = frozenset({"ext3", "ext4", "xfs"})


@dataclass(frozen=True, slots=True)
class Session:
    """A login that holds.

    Attributes:
        device: path of the device node.
        identity: of the device behind it, as the backend knows it.
        size_bytes: what this host last learned of its capacity.
        appears_at_s: loop time from which the node is there; 0 for a session from before a restart.
    """

    device: str
    identity: str
    size_bytes: int
    appears_at_s: float = 0.0


def device_path(transport: str, attributes: Mapping[str, str]) -> str:
    """The direct path under which udev shows a device. OSError: EPROTONOSUPPORT, EINVAL."""
    match unit_key(transport, attributes):
        case ("iscsi", portal, iqn, lun):
            return f"/dev/disk/by-path/ip-{portal}-iscsi-{iqn}-lun-{lun}"
        case (_, address, port, nqn, nsid):
            return f"/dev/disk/by-id/nvme-{address}:{port}-{nqn}-{nsid}"
    raise os_error(errno.EPROTONOSUPPORT, transport)


def _nothing() -> None:
    """What is called after a change where nobody wants to know."""


class SimDevices:
    """The initiators and block layer of one host.

    Args:
        backend: what is on the other end.
        appear_after_s: time from login to device node.
        changed: called after every change of the sessions.

    Attributes:
        in_use: whether a device is mounted on this host; set by the host.
    """

    def __init__(
        self, backend: Backend, *, appear_after_s: float = 0.0, changed: Callable[[], None] = _nothing
    ) -> None:
        self.in_use: Callable[[str], bool] = lambda _device: False
        self.appear_after_s = appear_after_s
        self.backend = backend
        self._changed = changed
        self._sessions: dict[str, Session] = {}

    def rows(self) -> list[dict[str, Any]]:
        """The sessions as plain data; without credentials."""
        return [asdict(each) for each in self._sessions.values()]

    def load(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over what `rows` returned earlier; KeyError, TypeError or ValueError where it is not that."""
        for row in rows:
            session = Session(str(row["device"]), str(row["identity"]), int(row["size_bytes"]))
            self._sessions[session.device] = session

    def is_device(self, path: str) -> bool:
        """Whether this path is a device node now."""
        session = self._sessions.get(path)
        return session is not None and asyncio.get_running_loop().time() >= session.appears_at_s

    def vanish(self, device: str) -> None:
        """Drop a session from below, as a dying link does, whether or not the device is in use."""
        if self._sessions.pop(device, None):
            self._changed()

    def clear(self) -> None:
        """Drop all sessions, as a reboot does."""
        self._sessions.clear()

    async def connect(self, transport: str, attributes: Mapping[str, str]) -> str:
        """Log in; see `csisim.host.Devices`."""
        device = device_path(transport, attributes)
        if device in self._sessions:
            return device
        backing = await self.backend.login(transport, attributes)
        appears_at_s = asyncio.get_running_loop().time() + self.appear_after_s
        self._sessions.setdefault(device, Session(device, backing.identity, backing.size_bytes, appears_at_s))
        self._changed()
        return device

    async def present(self, device: str) -> bool:
        """Whether the device node is there now."""
        return self.is_device(device)

    async def size_bytes(self, device: str) -> int:
        """The capacity this host last learned of. ENODEV."""
        return self._session(device).size_bytes

    async def rescan(self, device: str) -> None:
        """Learn the capacity anew. ENODEV, or what the backend says."""
        size_bytes = await self.backend.capacity_bytes(self._session(device).identity)
        self._sessions[device] = replace(self._session(device), size_bytes=size_bytes)
        self._changed()

    async def format_of(self, device: str) -> str:
        """The file system on the device, "" where it is blank. ENODEV."""
        superblock = await self.superblock(device)
        return superblock.fs_type if superblock else ""

    async def make_fs(self, device: str, fs_type: str) -> None:
        """Make a file system on a blank device. EBUSY: mounted or not blank. EINVAL: no such mkfs. ENODEV."""
        session = self._session(device)
        if fs_type not in LOCAL_FILE_SYSTEMS:
            raise os_error(errno.EINVAL, f"mkfs.{fs_type} {device}")
        if self.in_use(device) or await self.backend.superblock(session.identity):
            raise os_error(errno.EBUSY, device)
        await self.backend.discard(session.identity, session.size_bytes)
        fs_id = hashlib.blake2b(session.identity.encode(), digest_size=16).hexdigest()
        await self.backend.write_superblock(session.identity, Superblock(fs_type, fs_id, session.size_bytes))

    async def disconnect(self, transport: str, attributes: Mapping[str, str]) -> None:
        """Log out; see `csisim.host.Devices`."""
        device = device_path(transport, attributes)
        if self.in_use(device):
            raise os_error(errno.EBUSY, device)
        self.vanish(device)

    def identity(self, device: str) -> str:
        """What the backend knows the device by. ENODEV."""
        return self._session(device).identity

    async def superblock(self, device: str) -> Superblock | None:
        """The file system on the device, None where it is blank. ENODEV."""
        return await self.backend.superblock(self._session(device).identity)

    async def grow_fs(self, device: str) -> int:
        """Let the file system on the device cover all of it; returns its size in bytes. ENODEV. EINVAL: blank."""
        session = self._session(device)
        superblock = await self.backend.superblock(session.identity)
        if superblock is None:
            raise os_error(errno.EINVAL, device)
        if session.size_bytes > superblock.size_bytes:
            superblock = replace(superblock, size_bytes=session.size_bytes)
            await self.backend.write_superblock(session.identity, superblock)
        return superblock.size_bytes

    def _session(self, device: str) -> Session:
        if not self.is_device(device):
            raise os_error(errno.ENODEV, device)
        return self._sessions[device]
