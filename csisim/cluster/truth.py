"""What really happens on a simulated machine, below all faults: a lie, a crash or a lost answer changes none of it.

After every operation the mount table and the sessions are compared with what was known, so an event tells what the
machine has, whoever did it and whatever the operation answered.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from csisim.check.races import EXISTENCE, Access, Races
from csisim.cluster.nas_backend import zvol_of
from csisim.cluster.stacks import calling_stack
from csisim.events import History
from csisim.faults.calls import current_call
from csisim.host import FsStats, MountPoint, NodeHost, StateFiles
from csisim.sim.host import SimHost

T = TypeVar("T")

_BY_HOST: Final[ContextVar[bool]] = ContextVar("csisim_by_host", default=False)


def by_host() -> bool:
    """Whether the running code is a machine at work, and not the driver that asked it to."""
    return _BY_HOST.get()


class MachineTruth:
    """One machine, watched; also what a rule can do to it (`csisim.faults.host.Machine`).

    Args:
        node_id: for the events.
        host: the machine.
        history: gets the events.
        races: learns what the node service reads and writes: its records, and what is mounted at a path.
    """

    def __init__(self, node_id: str, host: SimHost, history: History, races: Races) -> None:
        self._node_id = node_id
        self._races = races
        self._host = host
        self._history = history
        self._mounts: tuple[MountPoint, ...] = ()
        self._sessions: dict[str, str] = {}
        self._zvols: dict[str, str] = {}
        host.content.removed = lambda path: self.tell("remove", {"path": path})
        self.look()

    @property
    def host(self) -> NodeHost:
        """What the node service, or the faults before it, works with."""
        return NodeHost(
            _TrueMounter(self, self._host), _TrueDevices(self, self._host), _TrueFiles(self, self._host.files)
        )

    def look(self, mounted: str = "mount", gone: Mapping[str, Any] | None = None) -> None:
        """Tell what has changed since the last look.

        Args:
            mounted: what a new row in the mount table is: mount or bind.
            gone: what else to tell of a row that is gone.
        """
        sessions = {str(row["device"]): zvol_of(str(row["identity"])) for row in self._host.devices.rows()}
        self._zvols |= sessions
        for device, zvol in sessions.items():
            if self._sessions.get(device) != zvol:
                self.tell("login", {"source": device, "dataset": zvol})
        before, self._mounts = self._mounts, self._host.mounter.all_mounts()
        for point in _but(before, self._mounts):
            self.tell("umount", {**self._shown(point), **(gone or {})})
        for point in _but(self._mounts, before):
            self.tell(mounted, self._shown(point))
        for device, zvol in self._sessions.items():
            if device not in sessions:
                self.tell("logout", {"source": device, "dataset": zvol})
        self._sessions = sessions

    async def asked(self, work: Awaitable[T]) -> T:
        """Let the machine work for something that changes nothing to be told."""
        token = _BY_HOST.set(True)
        try:
            return await work
        finally:
            _BY_HOST.reset(token)

    async def did(self, work: Awaitable[T], mounted: str = "mount") -> T:
        """Let the machine work, and tell what has changed, however that ends."""
        try:
            return await self.asked(work)
        finally:
            self.look(mounted)

    def saw(self, obj: str) -> None:
        """The node service has read something of the machine."""
        self._races.read(f"{obj} of {self._node_id}", self._access("read"))

    def changed(self, obj: str, how: str) -> None:
        """It has changed it."""
        self._races.wrote(f"{obj} of {self._node_id}", EXISTENCE, self._access(how))

    def _access(self, name: str) -> Access:
        call = current_call()
        if call is None:
            return Access("")
        at_s = asyncio.get_running_loop().time()
        held = self._races.holds(call.call_id)
        rpc = f"{call.method}({call.vol})"
        return Access(call.call_id, calling_stack(), held, at_s, self._history.last_seq, name, rpc)

    def tell(self, f: str, value: Mapping[str, Any]) -> None:
        """Note one event."""
        call = current_call()
        parent = "" if call is None else call.call_id
        self._history.add("info", "truth", f, process=self._node_id, parent=parent, value=value)

    def rebooted(self) -> None:
        """One event: all mounts and sessions are gone with it."""
        self._mounts, self._sessions = (), {}
        self.tell("reboot", {})
        self.look()

    def dataset_of(self, source: str) -> str:
        """The dataset that a mount's source shows, "" where it is none of a NAS."""
        whole = source.partition("[/")[0]
        return self._zvols.get(whole) or (whole.partition(":/mnt/")[2])

    def _shown(self, point: MountPoint) -> dict[str, Any]:
        return {
            "path": point.path,
            "source": point.source,
            "fs_type": point.fs_type,
            "options": list(point.options),
            "dataset": self.dataset_of(point.source),
        }

    async def detach(self, target: str) -> None:
        """Umount lazily; see `SimHost`."""
        try:
            await self._host.detach(target)
        finally:
            self.look(gone={"lazy": True})

    def settle(self) -> None:
        """What was detached lets go."""
        self._host.settle()
        self.look()

    def vanish(self, device: str) -> None:
        """Drop a device from below."""
        self._host.vanish(device)
        self.look()

    def connected(self) -> tuple[str, ...]:
        """The devices that it is logged in to."""
        return self._host.connected()

    def other_device(self, device: str) -> str:
        """The path of some other device."""
        return self._host.other_device(device)


class _TrueMounter:
    """See `csisim.host.Mounter`."""

    def __init__(self, truth: MachineTruth, host: SimHost) -> None:
        self._truth = truth
        self._mounter = host.mounter

    async def mount(self, source: str, target: str, fs_type: str, options: tuple[str, ...]) -> None:
        """Tells mount."""
        await self._truth.did(self._mounter.mount(source, target, fs_type, options))
        self._truth.changed(f"path {target}", "mount")

    async def bind(self, source: str, target: str, options: tuple[str, ...]) -> None:
        """Tells bind."""
        await self._truth.did(self._mounter.bind(source, target, options), "bind")
        self._truth.changed(f"path {target}", "bind")

    async def umount(self, target: str) -> None:
        """Tells umount."""
        await self._truth.did(self._mounter.umount(target))
        self._truth.changed(f"path {target}", "umount")

    async def mounts(self, path: str) -> tuple[MountPoint, ...]:
        """Tells nothing."""
        found = await self._truth.asked(self._mounter.mounts(path))
        self._truth.saw(f"path {path}")
        return found

    async def mounts_of(self, source: str) -> tuple[MountPoint, ...]:
        """Tells nothing."""
        return await self._truth.asked(self._mounter.mounts_of(source))

    async def make_dir(self, path: str) -> None:
        """Tells nothing."""
        await self._truth.asked(self._mounter.make_dir(path))

    async def make_file(self, path: str) -> None:
        """Tells nothing."""
        await self._truth.asked(self._mounter.make_file(path))

    async def remove_path(self, path: str) -> None:
        """Tells remove, where there was something."""
        existed = await self._truth.asked(self._mounter.exists(path))
        await self._truth.asked(self._mounter.remove_path(path))
        if existed:
            self._truth.tell("remove", {"path": path})
            self._truth.changed(f"path {path}", "remove")

    async def exists(self, path: str) -> bool:
        """Tells nothing."""
        return await self._truth.asked(self._mounter.exists(path))

    async def statfs(self, path: str) -> FsStats:
        """Tells nothing."""
        return await self._truth.asked(self._mounter.statfs(path))

    async def resize_fs(self, path: str) -> int:
        """Tells resize, with the size that the file system has now."""
        size_bytes = await self._truth.asked(self._mounter.resize_fs(path))
        points = await self._truth.asked(self._mounter.mounts(path))
        dataset = self._truth.dataset_of(points[-1].source) if points else ""
        self._truth.tell("resize", {"path": path, "size_bytes": size_bytes, "dataset": dataset})
        return size_bytes


class _TrueDevices:
    """See `csisim.host.Devices`."""

    def __init__(self, truth: MachineTruth, host: SimHost) -> None:
        self._truth = truth
        self._devices = host.devices

    async def connect(self, transport: str, attributes: Mapping[str, str]) -> str:
        """Tells login, where there was no session yet."""
        return await self._truth.did(self._devices.connect(transport, attributes))

    async def present(self, device: str) -> bool:
        """Tells nothing."""
        return await self._truth.asked(self._devices.present(device))

    async def size_bytes(self, device: str) -> int:
        """Tells nothing."""
        return await self._truth.asked(self._devices.size_bytes(device))

    async def rescan(self, device: str) -> None:
        """Tells nothing."""
        await self._truth.asked(self._devices.rescan(device))

    async def format_of(self, device: str) -> str:
        """Tells nothing."""
        return await self._truth.asked(self._devices.format_of(device))

    async def make_fs(self, device: str, fs_type: str) -> None:
        """Tells make_fs."""
        await self._truth.asked(self._devices.make_fs(device, fs_type))
        value = {"source": device, "fs_type": fs_type, "dataset": self._truth.dataset_of(device)}
        self._truth.tell("make_fs", value)

    async def disconnect(self, transport: str, attributes: Mapping[str, str]) -> None:
        """Tells logout, where there was a session."""
        await self._truth.did(self._devices.disconnect(transport, attributes))


class _TrueFiles:
    """See `csisim.host.StateFiles`."""

    def __init__(self, truth: MachineTruth, files: StateFiles) -> None:
        self._truth = truth
        self._files = files

    async def read(self, name: str) -> bytes | None:
        """Tells nothing."""
        content = await self._files.read(name)
        self._truth.saw(f"record {name}")
        return content

    async def write(self, name: str, content: bytes) -> None:
        """Tells nothing."""
        await self._files.write(name, content)
        self._truth.changed(f"record {name}", "write")

    async def remove(self, name: str) -> None:
        """Tells nothing."""
        await self._files.remove(name)
        self._truth.changed(f"record {name}", "remove")

    async def names(self) -> tuple[str, ...]:
        """Tells nothing."""
        return await self._files.names()


def _but(points: tuple[MountPoint, ...], others: tuple[MountPoint, ...]) -> list[MountPoint]:
    """The rows that the others lack; a row may be there more than once."""
    left = list(others)
    missing = []
    for point in points:
        if point in left:
            left.remove(point)
        else:
            missing.append(point)
    return missing
