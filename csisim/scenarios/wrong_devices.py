"""Drivers with wrong ideas of network disks; each change makes one of the shipped driver."""

import asyncio
import errno
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from csisim.cluster.parts import Parts
from csisim.driver.node import NodeService
from csisim.driver.node_staging import Staging
from csisim.driver.node_state import Staged
from csisim.errors import CsiError
from csisim.host import MountPoint, NodeHost
from csisim.scenarios.wrong_parts import Changed
from csisim.sim.backend import Superblock
from csisim.sim.host import SimHost

_log: Final = logging.getLogger(__name__)
_WHILE_S: Final = 1.0


def formatting(parts: Parts) -> Parts:
    """Takes a device that cannot be probed for a blank one, and formats without looking."""
    return replace(parts, host=lambda _node_id, host, machine: _with_devices(host, _Formatting(host, machine)))


def by_kernel_name(parts: Parts) -> Parts:
    """Knows devices by the names that the kernel gives them in the order of the logins."""
    machines: dict[str, _KernelNames] = {}

    def named(node_id: str, host: NodeHost, machine: SimHost) -> NodeHost:
        names = machines.setdefault(node_id, _KernelNames(machine))
        devices: Any = _NamedDevices(host, names)
        mounter: Any = _NamedMounter(host, names)
        return replace(host, devices=devices, mounter=mounter)

    return replace(parts, host=named)


def forgiving(parts: Parts) -> Parts:
    """Puts up with a logout that fails."""
    return replace(parts, node=_ForgivingNode)


def only_what_is_seen(parts: Parts) -> Parts:
    """Logs out of devices that are there."""
    return replace(parts, node=_SeeingNode)


def per_portal(parts: Parts) -> Parts:
    """Logs out of servers."""
    return replace(parts, host=lambda _node_id, host, machine: _with_devices(host, _PerPortal(host, machine)))


def _with_devices(host: NodeHost, devices: Any) -> NodeHost:
    return replace(host, devices=devices)


class _Formatting(Changed):
    """`blkid || mkfs -F`."""

    def __init__(self, host: NodeHost, machine: SimHost) -> None:
        super().__init__(host.devices)
        self._machine = machine

    async def format_of(self, device: str) -> str:
        """An exit status of 2 means that nothing was found."""
        try:
            return str(await self._whole.format_of(device))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return ""

    async def make_fs(self, device: str, fs_type: str) -> None:
        """Whatever is on it."""
        try:
            await self._whole.make_fs(device, fs_type)
        except OSError as error:
            if error.errno != errno.EBUSY or self._machine.devices.in_use(device):
                raise
            devices = self._machine.devices
            identity, size_bytes = devices.identity(device), await devices.size_bytes(device)
            await devices.backend.discard(identity, size_bytes)
            await devices.backend.write_superblock(identity, Superblock(fs_type, f"again {identity}", size_bytes))


class _PerPortal(Changed):
    """`iscsiadm --portal ... --logout` without a target."""

    def __init__(self, host: NodeHost, machine: SimHost) -> None:
        super().__init__(host.devices)
        self._machine = machine

    async def disconnect(self, transport: str, attributes: Mapping[str, str]) -> None:
        """All sessions with one server end."""
        await self._whole.disconnect(transport, attributes)
        server = attributes.get("portal") or f"{attributes['address']}:{attributes['port']}"
        for device in self._machine.connected():
            if server in device:
                self._machine.vanish(device)


class _KernelNames:
    """Of one machine: a name that is free is given to the next device."""

    def __init__(self, machine: SimHost) -> None:
        self._machine = machine
        self._holders: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def given(self, path: str) -> str:
        """The name of a device that has just been logged in to."""
        there = self._machine.connected()
        if self._holders.get(self._known.get(path, "")) != path:
            free = [name for name, holder in self._holders.items() if holder not in there]
            name = free[0] if free else f"/dev/sd{chr(ord('b') + len(self._holders))}"
            self._holders[name], self._known[path] = path, name
        return self._known[path]

    def path(self, name: str) -> str:
        """The device that has this name now."""
        return self._holders.get(name, name)

    def paths(self, name: str) -> list[str]:
        """All devices that have had it."""
        return [path for path, given in self._known.items() if given == name]

    def name(self, path: str) -> str:
        """The name that a device has had last, as the mount table shows it."""
        return self._known.get(path, path)


class _NamedDevices(Changed):
    """Devices by such names."""

    def __init__(self, host: NodeHost, names: _KernelNames) -> None:
        super().__init__(host.devices)
        self._names = names

    async def connect(self, transport: str, attributes: Mapping[str, str]) -> str:
        """The name is what is kept."""
        return self._names.given(await self._whole.connect(transport, attributes))

    def __getattr__(self, name: str) -> Any:
        work = getattr(self._whole, name)
        if name == "disconnect":
            return work
        return lambda device, *rest: work(self._names.path(device), *rest)


class _NamedMounter(Changed):
    """A mount table with such names in it."""

    def __init__(self, host: NodeHost, names: _KernelNames) -> None:
        super().__init__(host.mounter)
        self._names = names

    async def mount(self, source: str, target: str, fs_type: str, options: tuple[str, ...]) -> None:
        """By name."""
        await self._whole.mount(self._names.path(source), target, fs_type, options)

    async def bind(self, source: str, target: str, options: tuple[str, ...]) -> None:
        """By name, where it is a device."""
        await self._whole.bind(self._names.path(source), target, options)

    async def mounts(self, path: str) -> tuple[MountPoint, ...]:
        """With names."""
        return self._named(await self._whole.mounts(path))

    async def mounts_of(self, source: str) -> tuple[MountPoint, ...]:
        """By name."""
        found = [await self._whole.mounts_of(path) for path in self._names.paths(source)]
        return self._named(tuple(each for some in found for each in some))

    def _named(self, found: tuple[MountPoint, ...]) -> tuple[MountPoint, ...]:
        return tuple(replace(each, source=self._names.name(each.source)) for each in found)


class _ForgivingStaging(Staging):
    async def _detach(self, record: Staged) -> None:
        """Gives it a second."""
        try:
            await super()._detach(record)
        except CsiError as error:
            _log.warning("volume %s: %s", record.volume_id, error)
            await asyncio.sleep(_WHILE_S)


class _ForgivingNode(NodeService):
    staging_kind = _ForgivingStaging


class _SeeingStaging(Staging):
    async def _detach(self, record: Staged) -> None:
        """The device tells which session it is."""
        if await self._has_device(record):
            await super()._detach(record)


class _SeeingNode(NodeService):
    staging_kind = _SeeingStaging
