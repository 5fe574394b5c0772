"""A node service over a simulated host and servers in memory, and a kubelet's way of calling it."""

# tests look at the real disk

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from csisim.driver.config import DriverConfig
from csisim.driver.inflight import OperationLocks
from csisim.driver.node import NodeService, Presence
from csisim.errors import NasIndeterminate
from csisim.host import NodeHost
from csisim.pb import csi_pb2 as pb
from csisim.sim.backend import MemoryBackend
from csisim.sim.host import SimHost

Mode = pb.VolumeCapability.AccessMode
GIB = 1 << 30
PROTOCOLS = ("nfs", "iscsi", "nvmeof")


def capability(kind: str = "mount", mode: int = Mode.SINGLE_NODE_WRITER, **mount: Any) -> pb.VolumeCapability:
    access_mode = Mode(mode=mode)  # type: ignore[arg-type]
    if kind == "block":
        return pb.VolumeCapability(block=pb.VolumeCapability.BlockVolume(), access_mode=access_mode)
    return pb.VolumeCapability(mount=pb.VolumeCapability.MountVolume(**mount), access_mode=access_mode)


@dataclass
class Volumes:
    """The NAS as the node service asks it."""

    known: set[str] = field(default_factory=set)
    published: set[str] = field(default_factory=set)
    down: bool = False
    asked: int = 0

    async def presence(self, volume_id: str) -> Presence:
        self.asked += 1
        if self.down:
            raise NasIndeterminate("pool.dataset.query", "NAS unreachable", sent=False)
        if volume_id not in self.known:
            return Presence.ABSENT
        return Presence.PUBLISHED if volume_id in self.published else Presence.UNPUBLISHED


class World:
    """One node; `restart` gives it a new driver process over the same kernel and disk."""

    def __init__(self, directory: Path, *, on_disk: bool = False, node_id: str = "node-1", **config: Any) -> None:
        self.directory = directory
        self.node_id = node_id
        self.config = DriverConfig(**({"device_timeout_s": 0.05} | config))
        self.backend = MemoryBackend()
        self.volumes = Volumes()
        self.sim = SimHost(self.backend, state_dir=directory / "state" if on_disk else None)
        self.staging = str(directory / "staging")
        self.target = str(directory / "pods" / "target")
        self.contexts: dict[str, dict[str, str]] = {}
        self.restart()

    def restart(self, wrap: Callable[[Any], Any] = lambda part: part) -> None:
        self.locks = OperationLocks()
        host = NodeHost(wrap(self.sim.mounter), wrap(self.sim.devices), wrap(self.sim.files))
        self.service = NodeService(self.config, self.node_id, host, self.locks, self.volumes)

    def volume(self, protocol: str = "nfs", volume_id: str = "pvc-1", size_bytes: int = GIB) -> str:
        """Make a volume on the servers, published on this node."""
        address = {
            "nfs": {"server": "nas.example", "share": f"/mnt/tank/csi/{volume_id}"},
            "iscsi": {"portal": "nas.example:3260", "iqn": f"iqn.2005-10.org.freenas.ctl:{volume_id}", "lun": "0"},
            "nvmeof": {
                "address": "nas.example",
                "port": "4420",
                "nqn": f"nqn.2011-06.com.truenas:{volume_id}",
                "nsid": "1",
            },
        }[protocol]
        if protocol == "nfs":
            self.backend.export(f"nas.example:{address['share']}", size_bytes)
        else:
            self.backend.offer(protocol, address, f"zvol-{volume_id}", size_bytes)
        self.contexts[volume_id] = {"protocol": protocol, **address}
        self.volumes.known.add(volume_id)
        self.volumes.published.add(volume_id)
        return volume_id

    async def call(self, request: Message) -> Any:
        """Call the method that takes this request."""
        method: Callable[[Message, Any], Awaitable[Any]] = getattr(
            self.service, type(request).__name__.removesuffix("Request")
        )
        return await method(request, None)

    def stage_request(self, volume_id: str = "pvc-1", **fields: Any) -> pb.NodeStageVolumeRequest:
        default = {
            "volume_id": volume_id,
            "staging_target_path": self.staging,
            "volume_capability": capability(),
            "volume_context": self.contexts.get(volume_id, {}),
        }
        return pb.NodeStageVolumeRequest(**(default | fields))

    def publish_request(self, volume_id: str = "pvc-1", **fields: Any) -> pb.NodePublishVolumeRequest:
        default = {
            "volume_id": volume_id,
            "staging_target_path": self.staging,
            "target_path": self.target,
            "volume_capability": capability(),
            "volume_context": self.contexts.get(volume_id, {}),
        }
        return pb.NodePublishVolumeRequest(**(default | fields))

    async def stage(self, volume_id: str = "pvc-1", **fields: Any) -> None:
        await self.call(self.stage_request(volume_id, **fields))

    async def publish(self, volume_id: str = "pvc-1", **fields: Any) -> None:
        await self.call(self.publish_request(volume_id, **fields))

    async def unpublish(self, volume_id: str = "pvc-1", target: str = "") -> None:
        await self.call(pb.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=target or self.target))

    async def unstage(self, volume_id: str = "pvc-1", staging: str = "") -> None:
        await self.call(pb.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=staging or self.staging))

    async def stats(self, path: str, volume_id: str = "pvc-1") -> Any:
        return await self.call(pb.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=path))

    async def expand(self, path: str, required_bytes: int = 0, **fields: Any) -> int:
        given = {"capacity_range": pb.CapacityRange(required_bytes=required_bytes)} if required_bytes else {}
        request = pb.NodeExpandVolumeRequest(volume_id="pvc-1", volume_path=path, **(given | fields))
        return int((await self.call(request)).capacity_bytes)

    async def leaks(self) -> list[str]:
        """Whatever is left of volumes on this node: mounts, sessions, records, paths, locks."""
        left = [f"mount {point.path}" for point in self.sim.mounter.all_mounts()]
        left += [f"session {row['device']}" for row in self.sim.devices.rows()]
        left += [f"record {name}" for name in await self.sim.files.names()]
        left += [f"path {path}" for path in (self.staging, self.target) if Path(path).exists()]
        return left + [f"lock {key}" for key in self.locks.held()]


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never waits: tells the loop how much time it skipped."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.skipped_s += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    """Time passes only while everybody sleeps, and then at once."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.skipped_s


def in_no_time(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        return runner.run(main)
