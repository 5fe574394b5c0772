"""A driver with a NAS, two nodes and faults, and who stands at its far ends: gRPC callers and raw peers.

All of it is on real sockets, unless a test runs it in simulated surroundings.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from websockets.asyncio.client import ClientConnection, connect

from csisim.cluster import Cluster, ClusterSettings, parse_endpoint
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.faults.grammar import parse_rule
from csisim.faults.matching import RuleState
from csisim.faults.plane import FaultPlane
from csisim.faults.settings import FaultSettings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc

OK = grpc.StatusCode.OK
CAPABILITY = csi.VolumeCapability(
    access_mode=csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"), mount=csi.VolumeCapability.MountVolume()
)
_CHANNEL = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
)


def create(name: str = "pvc-1", protocol: str = "nfs", size_bytes: int = 0) -> csi.CreateVolumeRequest:
    """A request for a volume."""
    return csi.CreateVolumeRequest(
        name=name, volume_capabilities=[CAPABILITY], parameters={"protocol": protocol},
        capacity_range=csi.CapacityRange(required_bytes=size_bytes) if size_bytes else None,
    )  # fmt: skip


class Caller:
    """A gRPC client of one socket, with a connection of its own."""

    def __init__(self, target: str, surroundings: SimulatedSurroundings | None = None) -> None:
        self.channel: Any = (
            grpc.aio.insecure_channel(target, options=_CHANNEL)
            if surroundings is None
            else surroundings.channel(parse_endpoint(target if target.startswith("unix:") else f"tcp://{target}"))
        )
        self.patience_s = 20 if surroundings is None else 200
        self.controller = csi_pb2_grpc.ControllerStub(self.channel)
        self.node = csi_pb2_grpc.NodeStub(self.channel)

    async def ask(
        self, method: Callable[..., Any], request: Any, *, timeout_s: float = 10, **more: Any
    ) -> tuple[grpc.StatusCode, Any]:
        """The code, and the response or the details."""
        try:
            return OK, await method(request, timeout=timeout_s, **more)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details()

    async def code(self, method: Callable[..., Any], request: Any, **more: Any) -> grpc.StatusCode:
        """Only the code."""
        return (await self.ask(method, request, **more))[0]

    async def retried(self, method: Callable[..., Any], request: Any) -> Any:
        """The response, asked for as often as it takes."""
        async with asyncio.timeout(self.patience_s):
            while True:
                code, got = await self.ask(method, request, wait_for_ready=True)
                if code is OK:
                    return got


class World:
    """The cluster and its callers.

    Attributes:
        cluster: as started.
        plane: its fault plane.
        tmp: for target paths.
        first, second: callers of the two sockets.
        callers: those, and more if a test adds them; they are closed at the end.
        host: the machine of the first node.
    """

    def __init__(self, cluster: Cluster, tmp: Path, surroundings: SimulatedSurroundings | None = None) -> None:
        assert cluster.injection is not None
        self.cluster = cluster
        self.plane: FaultPlane = cluster.injection.plane
        self.history = cluster.injection.history
        self.tmp = tmp
        self.host = next(iter(cluster.hosts.values()))
        self.callers = [Caller(where.target, surroundings) for where in cluster.node_endpoints.values()]
        self.first, self.second = self.callers

    def add(self, rule: str, name: str = "") -> RuleState:
        """Put a rule into force."""
        return self.plane.add(parse_rule(rule, name=name))

    async def create(self, name: str = "pvc-1", protocol: str = "nfs") -> csi.Volume:
        """A volume."""
        return (await self.first.controller.CreateVolume(create(name, protocol), timeout=10)).volume

    async def staged(self, name: str = "pvc-1", protocol: str = "nfs") -> csi.NodeStageVolumeRequest:
        """A published volume, not yet staged; gives the request that stages it on the first node."""
        volume = await self.create(name, protocol)
        node_id = next(iter(self.cluster.node_endpoints))
        await self.first.controller.ControllerPublishVolume(
            csi.ControllerPublishVolumeRequest(
                volume_id=volume.volume_id, node_id=node_id, volume_capability=CAPABILITY,
                volume_context=volume.volume_context,
            ), timeout=10,
        )  # fmt: skip
        staging = self.tmp / f"staging-{name}"
        self.host.disk.make_dir(str(staging))
        return csi.NodeStageVolumeRequest(
            volume_id=volume.volume_id, staging_target_path=str(staging), volume_capability=CAPABILITY,
            volume_context=volume.volume_context,
        )  # fmt: skip

    def mounted(self) -> list[str]:
        """The last part of each path that is mounted on the first node."""
        return [Path(point.path).name for point in self.host.mounter.all_mounts()]

    def datasets(self) -> list[str]:
        """The names of the volumes on the NAS, asked past all faults."""
        assert self.cluster.nas is not None
        rows = self.cluster.nas.call_direct("pool.dataset.query", [["id", "^", "tank/csi/"]])
        return sorted(row["id"].removeprefix("tank/csi/") for row in rows)

    @asynccontextmanager
    async def raw(self) -> AsyncIterator["Raw"]:
        """A websocket of somebody else to the NAS, logged in."""
        settings = self.cluster.nas_settings
        async with connect(settings.url, compression=None, proxy=None, ping_interval=None, close_timeout=0.2,
                           max_size=64 << 20) as socket:  # fmt: skip
            raw = Raw(socket)
            await raw.call("auth.login_with_api_key", settings.api_key)
            yield raw

    async def life(self, name: str) -> None:
        """A volume's whole life, with repeats where a fault has left something to wait for."""
        caller, node = self.first.controller, self.first.node
        volume = (await self.first.retried(caller.CreateVolume, create(name))).volume
        node_id = next(iter(self.cluster.node_endpoints))
        target = {"volume_id": volume.volume_id, "node_id": node_id}
        await self.first.retried(
            caller.ControllerPublishVolume,
            csi.ControllerPublishVolumeRequest(**target, volume_capability=CAPABILITY),
        )
        staging = self.tmp / f"staging-{name}"
        self.host.disk.make_dir(str(staging))
        place = {"volume_id": volume.volume_id, "staging_target_path": str(staging)}
        await self.first.retried(
            node.NodeStageVolume,
            csi.NodeStageVolumeRequest(**place, volume_capability=CAPABILITY, volume_context=volume.volume_context),
        )
        assert staging.name in self.mounted()
        await self.first.retried(node.NodeUnstageVolume, csi.NodeUnstageVolumeRequest(**place))
        await self.first.retried(caller.ControllerUnpublishVolume, csi.ControllerUnpublishVolumeRequest(**target))
        await self.first.retried(caller.DeleteVolume, csi.DeleteVolumeRequest(volume_id=volume.volume_id))
        assert staging.name not in self.mounted()
        assert name not in self.datasets()


class Raw:
    """A websocket peer that reads and writes frames as they are."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._ids = iter(range(1, 10_000))

    async def send(self, method: str, *params: Any) -> int:
        """Send a call; gives its id."""
        number = next(self._ids)
        await self.socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}))
        return number

    async def frame(self) -> str:
        """The next frame."""
        frame = await self.socket.recv()
        assert isinstance(frame, str)
        return frame

    async def reply(self) -> dict[str, Any]:
        """The next frame, read."""
        found: dict[str, Any] = json.loads(await self.frame())
        return found

    async def call(self, method: str, *params: Any) -> dict[str, Any]:
        """A call, and the next frame as its reply."""
        number = await self.send(method, *params)
        reply = await self.reply()
        assert reply["id"] == number
        return reply


@asynccontextmanager
async def world(
    tmp_path: Path,
    *rules: str,
    seed: int = 0,
    metadata: bool = False,
    state: bool = False,
    tcp: bool = False,
    surroundings: SimulatedSurroundings | None = None,
) -> AsyncIterator[World]:
    """Start it. `state`: everything is kept on disk. `tcp`: served over TCP."""
    unix = None if surroundings is None else parse_endpoint("unix:///simulated/csi.sock")
    faults = FaultSettings(rules=tuple(map(parse_rule, rules)), seed=seed, metadata=metadata)
    settings = ClusterSettings(
        node_ids=("n1", "n2"), grace_period_s=0.5, state_dir=tmp_path / "state" if state else None,
        endpoint=parse_endpoint("tcp://127.0.0.1:0") if tcp else unix,
    )  # fmt: skip
    async with Cluster(settings, rng=random.Random(1), surroundings=surroundings, faults=faults) as cluster:
        made = World(cluster, tmp_path, surroundings)
        assert cluster.nas is not None
        if not state:
            cluster.nas.call_direct("pool.dataset.create", {"name": "tank/csi"})
        try:
            yield made
        finally:
            for caller in made.callers:
                await caller.channel.close()


async def until(holds: Callable[[], Any]) -> None:
    """Wait for something that is bound to happen."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)
