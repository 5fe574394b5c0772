"""What a driver may never do to a machine, noticed when it tries; put around the host, above the faults."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from csisim.host import Devices, Mounter, MountPoint, NodeHost
from csisim.sim.devices import device_path
from csisim.sim.host import SimHost


class Watch:
    """Wraps the hosts of a cluster.

    Attributes:
        findings: what was seen, in order.
        hosts: the machines as they are, by node id; those of `Cluster.hosts`.
    """

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.hosts: Mapping[str, SimHost] = {}

    def __call__(self, node_id: str, host: NodeHost) -> NodeHost:
        """The same host, watched."""
        # Whatever is not wrapped is delegated, which a type checker cannot see.
        return replace(
            host,
            mounter=cast("Mounter", _WatchedMounter(host.mounter, self, node_id)),
            devices=cast("Devices", _WatchedDevices(host.devices, self, node_id)),
        )

    def mounted(self, node_id: str, chosen: Callable[[MountPoint], bool]) -> list[str]:
        """The paths of these mounts of a node, as they really are."""
        return [each.path for each in self.hosts[node_id].mounter.all_mounts() if chosen(each)]

    def at_or_below(self, node_id: str, path: str) -> list[str]:
        """The mounts that somebody who deletes a path would delete through."""
        return self.mounted(node_id, lambda each: f"{each.path}/".startswith(f"{path}/"))


class _WatchedMounter:
    def __init__(self, mounter: Mounter, watch: Watch, node_id: str) -> None:
        self._mounter = mounter
        self._watch = watch
        self._node_id = node_id

    async def remove_path(self, path: str) -> None:
        """Never where something is mounted, at the path or below."""
        if mounts := self._watch.at_or_below(self._node_id, path):
            self._watch.findings.append(f"{path} was to be removed while {', '.join(mounts)} is mounted")
        await self._mounter.remove_path(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mounter, name)


class _WatchedDevices:
    def __init__(self, devices: Devices, watch: Watch, node_id: str) -> None:
        self._devices = devices
        self._watch = watch
        self._node_id = node_id

    async def disconnect(self, transport: str, attributes: Mapping[str, str]) -> None:
        """Never while the device is mounted."""
        device = device_path(transport, attributes)
        if mounts := self._watch.mounted(self._node_id, lambda each: each.source == device):
            self._watch.findings.append(f"the session of {device} was to end while {', '.join(mounts)} is mounted")
        await self._devices.disconnect(transport, attributes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._devices, name)
