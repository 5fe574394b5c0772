"""Faults of a node's machine: every operation of its mounter, devices and state files passes a site before and after.

The wrapped parts do the real work; an error is raised before it (`mount.umount`) or after it (`mount.umount.after`).
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from csisim.events import History
from csisim.faults.calls import CallInfo, current_call
from csisim.faults.matching import RuleState
from csisim.faults.plane import FaultPlane, Firing, Passing
from csisim.host import Devices, FsStats, Mounter, MountPoint, NodeHost, StateFiles

T = TypeVar("T")

_NOBODY: Final = CallInfo("", "")


class Machine(Protocol):
    """What a rule can do to a machine besides refusing."""

    async def detach(self, target: str) -> None:
        """Umount lazily: the path is free at once, the file system behind it stays busy."""

    def settle(self) -> None:
        """What was detached lets go."""

    def vanish(self, device: str) -> None:
        """Drop a device from below."""

    def connected(self) -> tuple[str, ...]:
        """The devices that it is logged in to, by path."""

    def other_device(self, device: str) -> str:
        """The path of some other device of this machine, one that does not exist if there is none."""


@dataclass(slots=True)
class Gate:
    """What all parts of one machine share, during one life of its node service.

    Attributes:
        plane: decides.
        node: id of the node.
        machine: for what needs more than a refusal.
        crash: crashes what a rule names, as this node's.
        history: where mount operations are noted, if anywhere.
        dead: whether the service has crashed: what is left of its calls does nothing any more.
        detachers: names of the rules by which something is detached.
    """

    plane: FaultPlane
    node: str
    machine: Machine
    crash: Callable[[str, float | None], None]
    history: History | None = None
    dead: bool = False
    detachers: dict[str, None] = field(default_factory=dict)

    async def run(
        self,
        site: str,
        subject: str,
        work: Callable[[], Awaitable[T]],
        lie: Callable[[Firing], Awaitable[T]] | None = None,
    ) -> T:
        """Do the work, unless a rule has something else in mind.

        Args:
            site: `mount.umount`, for example.
            subject: path, device or record, for errors and the history.
            work: the operation.
            lie: what to do for the actions that are neither errors nor crashes.

        Raises:
            OSError: from a rule or from the work.
            asyncio.CancelledError: the service has crashed.
        """
        self._check_alive()
        call = current_call() or _NOBODY
        noted = self._invoke(site, subject, call)
        try:
            firing = await self._pass(site, subject, call)
            self._check_alive()
            result = await (work() if firing is None or lie is None else lie(firing))
            await self._pass(f"{site}.after", subject, call)
            self._check_alive()
        except OSError as error:
            self._done("fail", site, call, noted, {"errno": errno.errorcode.get(error.errno or 0, "")})
            raise
        except BaseException:
            self._done("info", site, call, noted)
            raise
        self._done("ok", site, call, noted)
        return result

    async def _pass(self, site: str, subject: str, call: CallInfo) -> Firing | None:
        if not call.own and self.plane.idle(site):
            return None
        passing = Passing(
            site, call.vol, call.snap, self.node, call.client, call.phase if call.method else "",
            call_id=call.call_id, fields=lambda: {"subject": subject}, own=call.own,
        )  # fmt: skip
        firing = await self.plane.meet(passing)
        if firing is None:
            return None
        action = firing.action
        if action.kind == "error":
            raise firing.os_error(subject)
        if action.kind == "crash":
            self.crash(action.word or "driver", action.seconds)
            if action.word != "nas":  # this call is among the victims: the crash cancels it
                await self.plane.barriers.wait(f"crash at {site}")
                raise asyncio.CancelledError(f"crashed at {site}")
            return None
        return firing

    def heal(self, gone: RuleState | None) -> None:
        """What was detached lets go."""
        if gone is None or gone.rule.name in self.detachers:
            self.detachers.clear()
            self.machine.settle()

    def _check_alive(self) -> None:
        if self.dead:
            raise asyncio.CancelledError(f"the service of {self.node} has crashed")

    def _invoke(self, site: str, subject: str, call: CallInfo) -> str:
        if self.history is None or not site.startswith("mount."):
            return ""
        noted = self.history.new_call()
        self.history.add("invoke", "mount", site.removeprefix("mount."), call=noted, process=self.node,
                         parent=call.call_id, value={"path": subject})  # fmt: skip
        return noted

    def _done(self, kind: Any, site: str, call: CallInfo, noted: str, value: Mapping[str, Any] | None = None) -> None:
        if self.history is not None and noted:
            self.history.add(kind, "mount", site.removeprefix("mount."), call=noted, process=self.node,
                             parent=call.call_id, value=value)  # fmt: skip


def faulty_host(host: NodeHost, gate: Gate) -> NodeHost:
    """The same machine, with every operation passing its sites."""
    gate.plane.on_change(f"machine {gate.node}", gate.heal)
    return NodeHost(FaultyMounter(host.mounter, gate), FaultyDevices(host.devices, gate), FaultyFiles(host.files, gate))


async def _nothing() -> None:
    """What is done when a rule only says that it was done."""


class FaultyMounter:
    """See `csisim.host.Mounter`."""

    def __init__(self, mounter: Mounter, gate: Gate) -> None:
        self._mounter = mounter
        self._gate = gate

    async def mount(self, source: str, target: str, fs_type: str, options: tuple[str, ...]) -> None:
        """Lies: ok (nothing is mounted), ro (it is, but read-only)."""

        async def lie(firing: Firing) -> None:
            if firing.action.word == "ro":
                await self._mounter.mount(source, target, fs_type, _read_only(options))

        await self._gate.run("mount.mount", target, lambda: self._mounter.mount(source, target, fs_type, options), lie)

    async def bind(self, source: str, target: str, options: tuple[str, ...]) -> None:
        """Lies: ok, ro."""

        async def lie(firing: Firing) -> None:
            if firing.action.word == "ro":
                await self._mounter.bind(source, target, _read_only(options))

        await self._gate.run("mount.bind", target, lambda: self._mounter.bind(source, target, options), lie)

    async def umount(self, target: str) -> None:
        """Lies: ok (it is still mounted), lazy (detached, but still busy below)."""

        async def lie(firing: Firing) -> None:
            if firing.action.word == "lazy":
                await self._gate.machine.detach(target)
                self._gate.detachers[firing.rule] = None

        await self._gate.run("mount.umount", target, lambda: self._mounter.umount(target), lie)

    async def mounts(self, path: str) -> tuple[MountPoint, ...]:
        """No lies."""
        return await self._gate.run("mount.mounts", path, lambda: self._mounter.mounts(path))

    async def mounts_of(self, source: str) -> tuple[MountPoint, ...]:
        """No lies."""
        return await self._gate.run("mount.mounts_of", source, lambda: self._mounter.mounts_of(source))

    async def make_dir(self, path: str) -> None:
        """Lies: ok."""
        await self._gate.run("mount.make_dir", path, lambda: self._mounter.make_dir(path), lambda _: _nothing())

    async def make_file(self, path: str) -> None:
        """Lies: ok."""
        await self._gate.run("mount.make_file", path, lambda: self._mounter.make_file(path), lambda _: _nothing())

    async def remove_path(self, path: str) -> None:
        """Lies: ok."""
        await self._gate.run("mount.remove_path", path, lambda: self._mounter.remove_path(path), lambda _: _nothing())

    async def exists(self, path: str) -> bool:
        """No lies."""
        return await self._gate.run("mount.exists", path, lambda: self._mounter.exists(path))

    async def statfs(self, path: str) -> FsStats:
        """No lies."""
        return await self._gate.run("mount.statfs", path, lambda: self._mounter.statfs(path))

    async def resize_fs(self, path: str) -> int:
        """Lies: ok (the size that it has is told, and nothing has grown)."""

        async def lie(_: Firing) -> int:
            return (await self._mounter.statfs(path)).total_bytes

        return await self._gate.run("mount.resize_fs", path, lambda: self._mounter.resize_fs(path), lie)


class FaultyDevices:
    """See `csisim.host.Devices`."""

    def __init__(self, devices: Devices, gate: Gate) -> None:
        self._devices = devices
        self._gate = gate

    async def connect(self, transport: str, attributes: Mapping[str, str]) -> str:
        """Lies: ok (no session, the path is told), wrong (the path of another device)."""

        async def lie(firing: Firing) -> str:
            before = self._gate.machine.connected()
            device = await self._devices.connect(transport, attributes)
            if firing.action.word == "wrong":
                return self._gate.machine.other_device(device)
            if device not in before:
                self._gate.machine.vanish(device)
            return device

        name = next((attributes[key] for key in ("iqn", "nqn") if key in attributes), transport)
        return await self._gate.run("device.connect", name, lambda: self._devices.connect(transport, attributes), lie)

    async def present(self, device: str) -> bool:
        """Lies: gone (it vanishes for good). `ready` lets it appear late."""

        async def lie(firing: Firing) -> bool:
            if firing.action.kind == "lie":
                self._gate.machine.vanish(device)
            return False

        return await self._gate.run("device.present", device, lambda: self._devices.present(device), lie)

    async def size_bytes(self, device: str) -> int:
        """No lies."""
        return await self._gate.run("device.size_bytes", device, lambda: self._devices.size_bytes(device))

    async def rescan(self, device: str) -> None:
        """Lies: ok."""
        await self._gate.run("device.rescan", device, lambda: self._devices.rescan(device), lambda _: _nothing())

    async def format_of(self, device: str) -> str:
        """No lies."""
        return await self._gate.run("device.format_of", device, lambda: self._devices.format_of(device))

    async def make_fs(self, device: str, fs_type: str) -> None:
        """Lies: ok."""
        await self._gate.run(
            "device.make_fs", device, lambda: self._devices.make_fs(device, fs_type), lambda _: _nothing()
        )

    async def disconnect(self, transport: str, attributes: Mapping[str, str]) -> None:
        """Lies: ok."""
        name = next((attributes[key] for key in ("iqn", "nqn") if key in attributes), transport)
        await self._gate.run(
            "device.disconnect", name, lambda: self._devices.disconnect(transport, attributes), lambda _: _nothing()
        )


class FaultyFiles:
    """See `csisim.host.StateFiles`."""

    def __init__(self, files: StateFiles, gate: Gate) -> None:
        self._files = files
        self._gate = gate

    async def read(self, name: str) -> bytes | None:
        """Lies: empty and gone, which a reader must take for no record."""

        async def lie(_: Firing) -> bytes | None:
            return None

        return await self._gate.run("file.read", name, lambda: self._files.read(name), lie)

    async def write(self, name: str, content: bytes) -> None:
        """Lies: ok (nothing is written). `truncate` leaves a torn record behind and says that all was well."""

        async def lie(firing: Firing) -> None:
            if firing.action.kind == "truncate":
                torn = content[: firing.action.size_bytes or 0]
                # An empty file reads as none.
                await (self._files.write(name, torn) if torn else self._files.remove(name))

        await self._gate.run("file.write", name, lambda: self._files.write(name, content), lie)

    async def remove(self, name: str) -> None:
        """Lies: ok."""
        await self._gate.run("file.remove", name, lambda: self._files.remove(name), lambda _: _nothing())

    async def names(self) -> tuple[str, ...]:
        """No lies."""
        return await self._gate.run("file.names", "", self._files.names)


def _read_only(options: tuple[str, ...]) -> tuple[str, ...]:
    return ("ro", *(option for option in options if option not in {"ro", "rw"}))
