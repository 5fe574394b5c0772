"""Other parts than the shipped ones, traced as those are."""

import random
from typing import Any

import pytest

from csisim.cluster import Cluster, ClusterSettings, EmbeddedNas, parse_endpoint
from csisim.cluster.parts import Parts
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.driver.controller import ControllerService
from csisim.driver.inflight import OperationLocks
from csisim.driver.node import NodeService
from csisim.driver.volumes import Volumes
from csisim.faults.settings import FaultSettings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.sim.run import simulate
from csisim.truenas.client import NasClient
from csisim.truenas.storage import Storage


class OtherClient(NasClient):
    asked: list[str]

    async def _call(self, method: str, *rest: Any) -> Any:
        self.asked = [*getattr(self, "asked", ()), method]
        return await super()._call(method, *rest)


class OtherLocks(OperationLocks):
    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []

    def take(self, exclusive: Any, together: Any) -> None:
        super().take(exclusive, together)
        self.taken += exclusive


class OtherStorage(Storage): ...


class OtherVolumes(Volumes): ...


class OtherController(ControllerService):
    async def GetCapacity(  # noqa: N802
        self, request: Any, context: Any
    ) -> csi.GetCapacityResponse:
        assert isinstance(self._volumes, OtherVolumes)
        assert isinstance(self._volumes.storage, OtherStorage)
        return csi.GetCapacityResponse(available_capacity=7)


class OtherNode(NodeService):
    async def NodeGetInfo(  # noqa: N802
        self, request: Any, context: Any
    ) -> csi.NodeGetInfoResponse:
        return csi.NodeGetInfoResponse(node_id=f"other {self._node_id}")


OTHERS = Parts(
    client=OtherClient,
    locks=OtherLocks,
    storage=OtherStorage,
    volumes=OtherVolumes,
    controller=OtherController,
    node=OtherNode,
)


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize("faults", [True, False])
def test_a_cluster_is_built_of_the_parts_that_it_is_given_and_traced_all_the_same(faults, trace):
    async def main() -> None:
        surroundings = SimulatedSurroundings()
        settings = ClusterSettings(
            endpoint=parse_endpoint("unix:///simulated/csi.sock"), nas=EmbeddedNas(), grace_period_s=1.0
        )
        given = FaultSettings(seed=1, trace=trace) if faults else None
        async with Cluster(
            settings, rng=random.Random(1), surroundings=surroundings, faults=given, parts=OTHERS
        ) as cluster:
            async with surroundings.channel(cluster.endpoint) as channel:
                controller, node = csi_pb2_grpc.ControllerStub(channel), csi_pb2_grpc.NodeStub(channel)
                assert (await controller.GetCapacity(csi.GetCapacityRequest())).available_capacity == 7
                assert (await node.NodeGetInfo(csi.NodeGetInfoRequest())).node_id == "other node-1"
                await controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id="pvc-1"))
            client, locks = cluster.nas_client, cluster.locks["controller"]
            assert isinstance(client, OtherClient)
            assert "pool.dataset.query" in client.asked
            assert isinstance(locks, OtherLocks)
            assert locks.taken == ["volume pvc-1"]
            if cluster.injection is not None:
                events = cluster.injection.history.since()
                seen = [event.f for event in events if event.kind == "lock"]
                assert seen == (["volume pvc-1", "volume pvc-1"] if trace else [])
                parents = {event.parent for event in events if event.kind == "nas" and event.f == "pool.dataset.query"}
                assert any(parents) is trace

    outcome = simulate(main, seed=1)
    if outcome.error is not None:
        raise outcome.error
