"""A traced cluster under virtual time, and a caller of all its RPCs that is not easily put off."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from csisim.check.index import Index, index
from csisim.check.verdicts import Result
from csisim.cluster import Cluster, ClusterSettings, EmbeddedNas, parse_endpoint
from csisim.cluster.settings import all_calls_take
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.events import Event
from csisim.faults.grammar import parse_rule
from csisim.faults.settings import FaultSettings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.sim.run import simulate
from csisim.sim.strategies import Choose, Fifo

GIB = 1 << 30
NODES = ("a", "b")


@dataclass
class Traced:
    """What a run left.

    Attributes:
        values: events as JSON.
    """

    events: Sequence[Event]
    races: Result
    index: Index
    result: Any = None
    values: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self):
        self.values = [event.to_json() for event in self.events]

    def of(self, kind: str, f: str = "", **wanted: Any) -> list[dict[str, Any]]:
        """Events of a kind, and of a name if one is given, with these members."""
        return [
            each
            for each in self.values
            if each["kind"] == kind
            and f in ("", each["f"])
            and all(each.get(key, "") == value for key, value in wanted.items())
        ]


class Client:
    """Sends any request to where it belongs."""

    def __init__(self, cluster: Cluster, channels: Sequence[Any], protocol: str) -> None:
        self.cluster = cluster
        self.protocol = protocol
        self.codes: list[str] = []
        self._stubs = [
            csi_pb2_grpc.ControllerStub(channels[0]),
            csi_pb2_grpc.GroupControllerStub(channels[0]),
            csi_pb2_grpc.NodeStub(channels[0]),
        ]

    async def __call__(self, request: Any, timeout_s: float = 600.0) -> Any:
        """The response, or None after an error, whose code is kept."""
        method = type(request).__name__.removesuffix("Request")
        stub = next(stub for stub in self._stubs if hasattr(stub, method))
        try:
            response = await getattr(stub, method)(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            self.codes.append(error.code().name)
            return None
        self.codes.append("OK")
        return response

    @property
    def capability(self) -> csi.VolumeCapability:
        mode = "MULTI_NODE_MULTI_WRITER" if self.protocol == "nfs" else "SINGLE_NODE_WRITER"
        return csi.VolumeCapability(
            access_mode=csi.VolumeCapability.AccessMode(mode=mode), mount=csi.VolumeCapability.MountVolume()
        )

    def create(self, name: str, *, snapshot: str = "", volume: str = "", gib: int = 1) -> csi.CreateVolumeRequest:
        request = csi.CreateVolumeRequest(
            name=name,
            volume_capabilities=[self.capability],
            parameters={"protocol": self.protocol},
            capacity_range=csi.CapacityRange(required_bytes=gib * GIB),
        )
        if snapshot:
            request.volume_content_source.snapshot.snapshot_id = snapshot
        if volume:
            request.volume_content_source.volume.volume_id = volume
        return request

    def publish(self, volume_id: str, node_id: str) -> csi.ControllerPublishVolumeRequest:
        return csi.ControllerPublishVolumeRequest(
            volume_id=volume_id, node_id=node_id, volume_capability=self.capability
        )


def traced(
    program: Callable[[Client], Awaitable[Any]],
    *,
    protocol: str = "nfs",
    seed: int = 1,
    strategy: Choose = Fifo,
    rules: Sequence[str] = (),
    latency_s: tuple[float, float] = (0.001, 0.02),
    trace: bool = True,
    **settings: Any,
) -> Traced:
    """Run a program against a cluster of its own."""

    async def main() -> tuple[list[Event], Result, Any]:
        surroundings = SimulatedSurroundings()
        chosen = ClusterSettings(
            grace_period_s=5.0,
            endpoint=parse_endpoint("unix:///simulated/csi.sock"),
            node_ids=NODES,
            nas=EmbeddedNas(latency=all_calls_take(*latency_s)),
            **settings,
        )
        faults = FaultSettings(seed=seed, trace=trace, rules=tuple(map(parse_rule, rules)), history_limit=None)
        async with Cluster(chosen, rng=random.Random(seed), surroundings=surroundings, faults=faults) as cluster:
            async with surroundings.channel(cluster.endpoint) as channel:
                result = await program(Client(cluster, [channel], protocol))
            assert cluster.injection is not None
            trace_ = cluster.injection.trace
            races = Result("races", 0) if trace_ is None else trace_.races.result()
            return cluster.injection.history.since(), races, result

    outcome = simulate(main, seed=seed, strategy=strategy)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result is not None
    events, races, result = outcome.result
    return Traced(events, races, index(events), result)


async def turmoil(client: Client, *, clients: int = 3, calls: int = 25, seed: int = 1) -> None:
    """Callers that do anything to the same few volumes, snapshots and groups at once, and give up now and then."""

    async def caller(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        for _ in range(calls):
            timeout_s = rng.choice([60.0, 60.0, 60.0, 0.02])
            await client(_any_request(client, rng), timeout_s)
            await asyncio.sleep(rng.random() * 0.2)

    await asyncio.gather(*(caller(number) for number in range(clients)))


def _any_request(client: Client, rng: random.Random) -> Any:
    volume, other = f"pvc-{rng.randrange(3)}", f"pvc-{rng.randrange(3)}"
    snapshot, group = f"snap-{rng.randrange(2)}", f"g-{rng.randrange(2)}"
    return rng.choice(
        [
            client.create(volume),
            client.create(volume),
            client.create(volume, snapshot=f"{other}@{snapshot}"),
            client.create(volume, volume=other),
            csi.DeleteVolumeRequest(volume_id=volume),
            client.publish(volume, rng.choice(NODES)),
            csi.ControllerUnpublishVolumeRequest(volume_id=volume, node_id=rng.choice([*NODES, ""])),
            csi.ControllerExpandVolumeRequest(
                volume_id=volume, capacity_range=csi.CapacityRange(required_bytes=rng.randrange(1, 4) * GIB)
            ),
            csi.ControllerModifyVolumeRequest(
                volume_id=volume, mutable_parameters={"compression": rng.choice(["lz4", "zstd"])}
            ),
            csi.CreateSnapshotRequest(name=snapshot, source_volume_id=volume),
            csi.DeleteSnapshotRequest(snapshot_id=f"{volume}@{snapshot}"),
            csi.CreateVolumeGroupSnapshotRequest(name=group, source_volume_ids=["pvc-0", volume]),
            csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id=group),
            csi.ListVolumesRequest(max_entries=2),
            csi.ListSnapshotsRequest(max_entries=2),
        ]
    )
