"""The schedules that the simulation's speed is measured with: equal work, simulated and on real sockets.

`stack` is the driver with its NAS and nothing else: protobuf bytes, websocket frames, SQLite. `run` is what
`csisim run` does: also a history, the race detector, nodes and their data, healing, taking all away, and the checks.
`seams` is what is left without driver and NAS: the least that any of it can cost.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from benchmarks import seams
from csisim.cluster import Cluster, ClusterSettings, parse_endpoint
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan
from csisim.sim.run import simulate
from csisim.sim.strategies import portfolio

_NODES = ("node-1", "node-2")
_ACTS = {"create": 4, "publish": 3, "unpublish": 2, "get": 2, "list": 1, "delete": 3}
_TIMEOUT_S = 30.0
_SIZE_BYTES = 1 << 30
_MOUNT = csi.VolumeCapability(
    access_mode=csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER),
    mount=csi.VolumeCapability.MountVolume(),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much one schedule does.

    Attributes:
        bar_per_s: how many schedules there are to be in a second of CPU time, on the machine of the bars.
    """

    clients: int
    operations: int
    volumes: int
    bar_per_s: float

    @property
    def name(self) -> str:
        """In tables."""
        return f"{self.clients} x {self.operations}"


SMALL = Size(3, 5, 2, 500.0)
LARGE = Size(8, 20, 4, 50.0)

Schedule = Callable[[Size, int], int]
"""Does one, of a size and by a seed; gives how many steps the loop took, 0 on real sockets."""


async def _act(controller: Any, rng: random.Random, number: int, ids: dict[int, str]) -> None:
    act = rng.choices([*_ACTS], [*_ACTS.values()])[0]
    known, node = ids.get(number), rng.choice(_NODES)
    if act == "create" or known is None:
        request = csi.CreateVolumeRequest(
            name=f"pvc-{number}",
            volume_capabilities=[_MOUNT],
            parameters={"protocol": "nfs"},
            capacity_range=csi.CapacityRange(required_bytes=_SIZE_BYTES),
        )
        ids[number] = (await controller.CreateVolume(request, timeout=_TIMEOUT_S)).volume.volume_id
    elif act == "publish":
        published = csi.ControllerPublishVolumeRequest(volume_id=known, node_id=node, volume_capability=_MOUNT)
        await controller.ControllerPublishVolume(published, timeout=_TIMEOUT_S)
    elif act == "unpublish":
        unpublished = csi.ControllerUnpublishVolumeRequest(volume_id=known, node_id=node)
        await controller.ControllerUnpublishVolume(unpublished, timeout=_TIMEOUT_S)
    elif act == "get":
        await controller.ControllerGetVolume(csi.ControllerGetVolumeRequest(volume_id=known), timeout=_TIMEOUT_S)
    elif act == "list":
        await controller.ListVolumes(csi.ListVolumesRequest(max_entries=10), timeout=_TIMEOUT_S)
    else:
        await controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id=known), timeout=_TIMEOUT_S)


async def _client(channel: Any, rng: random.Random, size: Size, ids: dict[int, str]) -> None:
    controller: Any = csi_pb2_grpc.ControllerStub(channel)
    for _ in range(size.operations):
        try:
            await _act(controller, rng, rng.randrange(size.volumes), ids)
        except grpc.aio.AioRpcError:
            continue  # ABORTED, most of them: the clients get in each other's way on purpose


async def _clients(channel: Any, size: Size, rng: random.Random) -> None:
    ids: dict[int, str] = {}
    async with asyncio.TaskGroup() as tasks:
        for _ in range(size.clients):
            tasks.create_task(_client(channel, random.Random(rng.getrandbits(64)), size, ids))


def _simulated(program: Callable[[], Coroutine[Any, Any, None]], seed: int) -> int:
    """Do it in an order that the seed chooses; gives the loop's steps."""
    outcome = simulate(program, seed=seed, strategy=portfolio)
    if outcome.error is not None:
        raise outcome.error
    return outcome.steps


def stack_simulated(size: Size, seed: int) -> int:
    """The stack under virtual time, in an order that the seed chooses."""
    rng = random.Random(seed)

    async def program() -> None:
        surroundings = SimulatedSurroundings()
        settings = ClusterSettings(node_ids=_NODES, endpoint=parse_endpoint("unix:///simulated/csi.sock"))
        async with (
            Cluster(settings, rng=random.Random(rng.getrandbits(64)), surroundings=surroundings) as cluster,
            surroundings.channel(cluster.endpoint) as channel,
        ):
            await _clients(channel, size, rng)

    return _simulated(program, seed)


def stack_real(size: Size, seed: int) -> int:
    """The stack on a Unix socket and a TCP connection, by the real clock."""
    rng = random.Random(seed)

    async def program() -> None:
        async with (
            Cluster(ClusterSettings(node_ids=_NODES), rng=random.Random(rng.getrandbits(64))) as cluster,
            grpc.aio.insecure_channel(cluster.endpoint.target) as channel,
        ):
            await _clients(channel, size, rng)

    asyncio.run(program())
    return 0


def run_simulated(size: Size, seed: int) -> int:
    """A whole run; no faults, which would leave less of the work to be done."""
    return run_plan(_plan(size, seed)).report.steps


def run_real(size: Size, seed: int) -> int:
    """The same on real sockets."""
    run_plan(_plan(size, seed, real=True))
    return 0


def _plan(size: Size, seed: int, *, real: bool = False) -> RunPlan:
    return RunPlan(
        seed=seed,
        clients=size.clients,
        operations=size.operations,
        volumes=size.volumes,
        faults=("none",),
        real=real,
    )


def seams_simulated(size: Size, seed: int) -> int:
    """As many calls, and neither driver nor NAS; see `benchmarks.seams`."""
    return _simulated(lambda: seams.simulated(size.clients, size.operations), seed)


def seams_real(size: Size, _seed: int) -> int:
    """The same on real sockets."""
    asyncio.run(seams.real(size.clients, size.operations))
    return 0


KINDS: Mapping[str, tuple[Schedule, Schedule]] = {
    "seams": (seams_simulated, seams_real),
    "stack": (stack_simulated, stack_real),
    "run": (run_simulated, run_real),
}
"""What is simulated, and the same on real sockets."""
