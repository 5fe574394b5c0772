"""The driver's controller side over a real fake NAS and a real websocket, served on a real gRPC socket."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csisim.call_log import ServedCall
from csisim.driver.config import DriverConfig
from csisim.driver.inflight import OperationLocks
from csisim.driver.server import build_server
from csisim.driver.services import build_services, build_volumes
from csisim.driver.volumes import Volumes
from csisim.pb import csi_pb2 as pb
from csisim.truenas.client import NasClient, NasSettings
from fake_truenas import Nas, NasConfig, Pool
from tests.support.rpc import AsyncClient

API_KEY = "1-" + "k" * 64
NOW_S = 1_700_000_000.0
GIB = 1 << 30
CONFIG = DriverConfig(known_nodes=frozenset({"node-1", "node-2"}))
MODE = pb.VolumeCapability.AccessMode


@dataclass
class Rig:
    """Everything between a caller's stub and the NAS's tables."""

    nas: Nas
    client: NasClient
    volumes: Volumes
    rpc: AsyncClient
    observed: list[ServedCall]
    calls: list[tuple[str, list[Any]]] = field(default_factory=list)

    def methods(self) -> list[str]:
        """NAS methods called since the last look."""
        methods = [method for method, _ in self.calls]
        self.calls.clear()
        return methods

    def on_call(self, method: str, act: Callable[[Any, Any], Any], times: int = 1) -> None:
        """Let `act(call, proceed)` stand for the next calls of one NAS method."""
        left = times

        async def intercept(call: Any, proceed: Any) -> Any:
            nonlocal left
            self.calls.append((call.method, call.params))
            if call.method == method and left:
                left -= 1
                return await act(call, proceed)
            return await proceed()

        self.nas.intercept = intercept

    async def ask(self, method: str, *params: Any) -> Any:
        """What the NAS answers, past the driver."""
        return await self.client.query(method, *params)

    async def names(self, method: str) -> list[str]:
        """Sorted names of one kind of object on the NAS."""
        rows = await self.ask(method, [], {})
        return sorted(str(row.get("name") or row.get("path")) for row in rows)

    async def leftovers(self) -> list[str]:
        """Everything on the NAS that a driver can leave behind."""
        kinds = ("pool.snapshot", "sharing.nfs", "iscsi.target", "iscsi.extent", "nvmet.subsys")
        found = [f"{kind} {name}" for kind in kinds for name in await self.names(f"{kind}.query")]
        found += [f"targetextent {row['id']}" for row in await self.ask("iscsi.targetextent.query", [], {})]
        found += [f"namespace {row['id']}" for row in await self.ask("nvmet.namespace.query", [], {})]
        datasets = await self.names("pool.dataset.query")
        return found + [name for name in datasets if name not in ("tank", "tank/csi")]


@asynccontextmanager
async def running(socket: Path, config: DriverConfig = CONFIG) -> AsyncIterator[Rig]:
    """A rig on this socket."""
    pools = (Pool("tank", 1 << 40),)
    nas = Nas(NasConfig(pools=pools, api_key=API_KEY), rng=random.Random(1), clock=lambda: NOW_S)
    listener = await nas.serve("127.0.0.1", 0)
    settings = NasSettings(
        url=listener.url, api_key=API_KEY, backoff_s=0.01, backoff_max_s=0.05, overdue_s=0.2, landing_s=0.1
    )
    client = NasClient(settings, rng=random.Random(2))
    await client.start()
    assert await client.wait_connected(5)
    volumes = build_volumes(config, client, OperationLocks())
    observed: list[ServedCall] = []
    server = await build_server(build_services(config, client, volumes, None), [observed.append])
    server.grpc.add_insecure_port(f"unix://{socket}")
    await server.grpc.start()
    async with AsyncClient(socket) as rpc:
        made = Rig(nas, client, volumes, rpc, observed)
        made.on_call("", lambda call, proceed: proceed())
        yield made
    await server.stop(None)
    await client.close()
    await listener.close()
    nas.close()


def capability(mode: int = MODE.SINGLE_NODE_WRITER, *, block: bool = False) -> pb.VolumeCapability:
    """A capability as a CO sends it."""
    access = pb.VolumeCapability.AccessMode(mode=mode)  # type: ignore[arg-type]
    if block:
        return pb.VolumeCapability(block=pb.VolumeCapability.BlockVolume(), access_mode=access)
    return pb.VolumeCapability(mount=pb.VolumeCapability.MountVolume(), access_mode=access)


def create(name: str, protocol: str = "nfs", gib: int = 2, **fields: Any) -> pb.CreateVolumeRequest:
    """An ordinary CreateVolume."""
    return pb.CreateVolumeRequest(
        name=name,
        parameters={"protocol": protocol},
        volume_capabilities=[capability()],
        capacity_range=pb.CapacityRange(required_bytes=gib * GIB),
        **fields,
    )


def from_snapshot(snapshot_id: str) -> pb.VolumeContentSource:
    return pb.VolumeContentSource(snapshot=pb.VolumeContentSource.SnapshotSource(snapshot_id=snapshot_id))


def from_volume(volume_id: str) -> pb.VolumeContentSource:
    return pb.VolumeContentSource(volume=pb.VolumeContentSource.VolumeSource(volume_id=volume_id))
