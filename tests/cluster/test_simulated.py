"""A whole cluster, driver and NAS and nodes, under virtual time: equal runs, and schedules that differ."""

import asyncio
import random
from typing import Any

import grpc
import pytest
from websockets.asyncio.client import connect

from csisim.cluster import Cluster, ClusterError, ClusterSettings, parse_endpoint
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.sim.grpc_seam import Exchange
from csisim.sim.run import Outcome, simulate
from csisim.sim.strategies import Choose, Fifo, Pct, Pos, RandomWalk, replay, stalls
from fake_truenas import Nas, NasConfig, Pool
from fake_truenas.connection import Socket

MOUNT = csi.VolumeCapability(
    access_mode=csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"), mount=csi.VolumeCapability.MountVolume()
)


def settings() -> ClusterSettings:
    return ClusterSettings(
        grace_period_s=5.0, endpoint=parse_endpoint("unix:///simulated/csi.sock"), node_ids=("a", "b")
    )


async def life(controller: Any, node: Any, name: str, node_id: str) -> list[str]:
    """From CreateVolume to DeleteVolume."""
    log = []

    async def call(method: Any, request: Any) -> Any:
        for _ in range(20):
            try:
                response = await method(request, timeout=60)
            except grpc.aio.AioRpcError as error:
                log.append(f"{name} {error.code().name}")
                if error.code() not in {grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE}:
                    raise
                await asyncio.sleep(0.5)
            else:
                log.append(f"{name} {type(response).__name__}")
                return response
        raise AssertionError(f"{name}: {log}")

    for protocol in ("nfs", "iscsi"):
        request = csi.CreateVolumeRequest(
            name=f"{name}-{protocol}",
            volume_capabilities=[MOUNT],
            parameters={"protocol": protocol, "provisioning": "thin"},
            mutable_parameters={"compression": "lz4", "sync": "always", "comments": name},
            capacity_range=csi.CapacityRange(required_bytes=1 << 30),
        )
        volume = (await call(controller.CreateVolume, request)).volume
        at = {"volume_id": volume.volume_id}
        published = await call(
            controller.ControllerPublishVolume,
            csi.ControllerPublishVolumeRequest(
                **at, node_id=node_id, volume_capability=MOUNT, volume_context=volume.volume_context
            ),
        )
        staging, target = f"/var/lib/kubelet/{name}/staging", f"/var/lib/kubelet/{name}/target"
        both = {
            **at,
            "staging_target_path": staging,
            "volume_capability": MOUNT,
            "publish_context": published.publish_context,
            "volume_context": volume.volume_context,
        }
        await call(node.NodeStageVolume, csi.NodeStageVolumeRequest(**both))
        await call(node.NodePublishVolume, csi.NodePublishVolumeRequest(**both, target_path=target))
        await call(node.NodeUnpublishVolume, csi.NodeUnpublishVolumeRequest(**at, target_path=target))
        await call(node.NodeUnstageVolume, csi.NodeUnstageVolumeRequest(**at, staging_target_path=staging))
        await call(controller.ControllerUnpublishVolume, csi.ControllerUnpublishVolumeRequest(**at, node_id=node_id))
        await call(controller.DeleteVolume, csi.DeleteVolumeRequest(**at))
    return log


async def cluster_life() -> list[str]:
    surroundings = SimulatedSurroundings()
    async with Cluster(settings(), rng=random.Random(1), surroundings=surroundings) as cluster:
        async with (
            surroundings.channel(cluster.endpoint) as main,
            surroundings.channel(cluster.node_endpoints["b"]) as other,
        ):
            controller = csi_pb2_grpc.ControllerStub(main)
            logs = await asyncio.gather(
                *(
                    life(controller, csi_pb2_grpc.NodeStub(channel), f"pvc-{number}", node_id)
                    for number, (channel, node_id) in enumerate([(main, "a"), (other, "b"), (main, "a")])
                )
            )
        assert cluster.nas is not None
        for host in cluster.hosts.values():  # each machine has a disk of its own, and no volume has left a target on it
            assert not [path for path in host.disk.listing("/") if path.endswith("/target")]
        assert cluster.hosts["a"].disk.listing("/") != cluster.hosts["b"].disk.listing("/")
        left = await cluster.nas.call("pool.dataset.query", [["id", "rin", "pvc"]])
    assert left == []
    return [line for log in logs for line in log]


@pytest.mark.parametrize("strategy", [Fifo, RandomWalk, Pct, Pos, stalls(0.05)])
def test_a_life_cycle_under_virtual_time_is_the_same_twice(strategy: Choose) -> None:
    outcomes: list[Outcome[list[str]]] = [run(2, strategy) for _ in range(2)]
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        assert outcome.leaked == ()
        assert sum("DeleteVolumeResponse" in line for line in outcome.result or []) == 6
    assert outcomes[0].trace_hash == outcomes[1].trace_hash
    assert outcomes[0].result == outcomes[1].result


def run(seed: int, strategy: Choose) -> Outcome[list[str]]:
    return simulate(cluster_life, seed=seed, strategy=strategy)


def test_seeds_differ_and_tapes_replay() -> None:
    drawn = run(3, RandomWalk)
    assert drawn.trace_hash != run(4, RandomWalk).trace_hash
    assert run(3, replay(drawn.tape)).trace_hash == drawn.trace_hash


def test_messages_take_the_time_that_the_exchange_says() -> None:
    async def program() -> float:
        surroundings = SimulatedSurroundings(Exchange(lambda: 0.5))
        async with Cluster(settings(), rng=random.Random(1), surroundings=surroundings) as cluster:
            began = asyncio.get_running_loop().time()
            async with surroundings.channel(cluster.endpoint) as channel:
                await csi_pb2_grpc.IdentityStub(channel).GetPluginInfo(csi.GetPluginInfoRequest())
            assert surroundings.wall_time_s() > 1_767_225_600
            return asyncio.get_running_loop().time() - began

    assert simulate(program).result == pytest.approx(1.0)


def test_an_address_that_is_taken_is_refused() -> None:
    async def program() -> None:
        surroundings = SimulatedSurroundings()
        async with Cluster(settings(), rng=random.Random(1), surroundings=surroundings):
            with pytest.raises(ClusterError, match="a server listens there"):
                await Cluster(settings(), rng=random.Random(2), surroundings=surroundings).__aenter__()

    outcome = simulate(program)
    if outcome.error is not None:
        raise outcome.error


def test_the_order_in_which_a_nas_ends_its_connections_does_not_depend_on_their_place_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted: list[Socket] = []

    class Noted(Socket):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            accepted.append(self)

    async def program() -> list[tuple[int, int]]:
        nas = Nas(NasConfig(pools=(Pool("tank", 1 << 40),), api_key="1-key"), rng=random.Random(1), clock=lambda: 0.0)
        server = await SimulatedSurroundings().serve_nas(nas)
        async with connect(server.url, proxy=None), connect(server.url, proxy=None):
            found = [(hash(each), each.remote_address[1]) for each in accepted]
            await server.close()
        nas.close()
        return found

    monkeypatch.setattr("fake_truenas.server.Socket", Noted)
    outcome = simulate(program)
    assert outcome.error is None
    (one, port), (other, other_port) = outcome.result or []
    assert (one, other) == (port, other_port)
    assert port != other_port
