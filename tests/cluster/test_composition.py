"""Clusters on real sockets: what is served where, what is shared, and what is left after the end."""

import asyncio
import random
import tempfile

import grpc
import pytest

from csisim.cluster import Cluster, ClusterError, ClusterSettings, EmbeddedNas, Mode, parse_endpoint
from csisim.cluster.parts import Parts
from csisim.driver.config import DriverConfig
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from fake_truenas import Pool


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where private directories go; empty after a clean end."""
    directory = tmp_path / "t"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def cluster(temporary, **changes):
    return Cluster(ClusterSettings(grace_period_s=1.0, **changes), rng=random.Random(1))


class Client:
    def __init__(self, endpoint):
        self.channel = grpc.aio.insecure_channel(endpoint.target)
        self.controller = csi_pb2_grpc.ControllerStub(self.channel)
        self.node = csi_pb2_grpc.NodeStub(self.channel)
        self.identity = csi_pb2_grpc.IdentityStub(self.channel)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.channel.close()

    async def code(self, method, request):
        try:
            await method(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def capability(**access):
    mode = csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER")
    return csi.VolumeCapability(access_mode=mode, **(access or {"mount": csi.VolumeCapability.MountVolume()}))


def create(name="pvc-1", protocol="nfs"):
    return csi.CreateVolumeRequest(name=name, volume_capabilities=[capability()], parameters={"protocol": protocol})


def publish(volume, node_id, **fields):
    return csi.ControllerPublishVolumeRequest(
        volume_id=volume.volume_id, node_id=node_id, volume_capability=capability(), **fields
    )


def stage(volume, staging, **fields):
    return csi.NodeStageVolumeRequest(
        volume_id=volume.volume_id,
        staging_target_path=str(staging),
        volume_capability=capability(),
        volume_context=volume.volume_context,
        **fields,
    )


async def test_the_first_node_shares_the_main_socket_and_others_have_their_own(temporary):
    async with cluster(temporary, node_ids=("a", "b")) as running:
        assert running.node_endpoints["a"] == running.endpoint
        assert list(running.node_endpoints) == list(running.hosts) == ["a", "b"]
        for node_id, endpoint in running.node_endpoints.items():
            async with Client(endpoint) as client:
                assert (await client.node.NodeGetInfo(csi.NodeGetInfoRequest())).node_id == node_id
        async with Client(running.endpoint) as client:
            assert await client.code(client.controller.CreateVolume, create()) is grpc.StatusCode.OK
        async with Client(running.node_endpoints["b"]) as client:
            assert await client.code(client.controller.CreateVolume, create()) is grpc.StatusCode.UNIMPLEMENTED
            assert await client.code(client.identity.Probe, csi.ProbeRequest()) is grpc.StatusCode.OK
    assert list(temporary.iterdir()) == []


async def test_only_nodes_of_the_process_are_known_unless_it_has_none(temporary):
    async def attempt(endpoint, node_id):
        async with Client(endpoint) as client:
            volume = (await client.controller.CreateVolume(create(), timeout=10)).volume
            return await client.code(client.controller.ControllerPublishVolume, publish(volume, node_id))

    async with cluster(temporary, node_ids=("a",)) as running:
        assert await attempt(running.endpoint, "x") is grpc.StatusCode.NOT_FOUND
        assert await attempt(running.endpoint, "a") is grpc.StatusCode.OK
    async with cluster(temporary, node_ids=(), mode=Mode.CONTROLLER) as running:
        assert dict(running.node_endpoints) == {}
        assert await attempt(running.endpoint, "x") is grpc.StatusCode.OK


async def test_a_node_apart_from_its_controller_works_over_its_own_nas_client(temporary, tmp_path):
    async with (
        cluster(temporary, node_ids=(), mode=Mode.CONTROLLER) as controller,
        cluster(temporary, node_ids=("far",), mode=Mode.NODE, nas=controller.nas_settings) as node,
        Client(controller.endpoint) as one,
        Client(node.endpoint) as two,
    ):
        assert node.nas is None
        volume = (await one.controller.CreateVolume(create(protocol="iscsi"), timeout=10)).volume
        await one.controller.ControllerPublishVolume(publish(volume, "far"), timeout=10)
        (tmp_path / "staging").mkdir()
        await two.node.NodeStageVolume(stage(volume, tmp_path / "staging"), timeout=10)
        assert [point.path for point in node.hosts["far"].mounter.all_mounts()] == [str(tmp_path / "staging")]
        assert await two.code(two.controller.CreateVolume, create()) is grpc.StatusCode.UNIMPLEMENTED


async def test_a_volume_is_staged_only_on_the_node_that_it_is_published_on(temporary, tmp_path):
    async with cluster(temporary, node_ids=("a", "b")) as running, Client(running.endpoint) as client:
        controller, other = client.controller, client.node
        volume = (await controller.CreateVolume(create(protocol="iscsi"), timeout=10)).volume
        request = stage(volume, tmp_path / "staging")
        for node_id, expected in (("", "FAILED_PRECONDITION"), ("b", "FAILED_PRECONDITION"), ("a", "OK")):
            if node_id:
                await controller.ControllerUnpublishVolume(
                    csi.ControllerUnpublishVolumeRequest(volume_id=volume.volume_id), timeout=10
                )
                await controller.ControllerPublishVolume(publish(volume, node_id), timeout=10)
            assert (await client.code(other.NodeStageVolume, request)).name == expected
        gone = stage(csi.Volume(volume_id="pvc-none", volume_context=volume.volume_context), tmp_path / "other")
        assert await client.code(other.NodeStageVolume, gone) is grpc.StatusCode.NOT_FOUND


async def test_what_is_published_read_only_is_mounted_read_only(temporary, tmp_path):
    async with cluster(temporary) as running, Client(running.endpoint) as client:
        volume = (await client.controller.CreateVolume(create(), timeout=10)).volume
        request = publish(volume, "node-1", readonly=True)
        published = await client.controller.ControllerPublishVolume(request, timeout=10)
        context = published.publish_context
        await client.node.NodeStageVolume(stage(volume, tmp_path / "staging", publish_context=context), timeout=10)
        (point,) = running.hosts["node-1"].mounter.all_mounts()
        assert point.readonly


async def test_everything_survives_with_a_state_directory(temporary, tmp_path):
    staging = tmp_path / "staging"
    staging.mkdir()
    for _ in range(2):
        async with cluster(temporary, state_dir=tmp_path / "state") as running, Client(running.endpoint) as client:
            volume = (await client.controller.CreateVolume(create(protocol="iscsi"), timeout=10)).volume
            await client.controller.ControllerPublishVolume(publish(volume, "node-1"), timeout=10)
            await client.node.NodeStageVolume(stage(volume, staging), timeout=10)
            host = running.hosts["node-1"]
            assert len(host.mounter.all_mounts()) == 1
            assert len(host.devices.rows()) == 1
            assert len(await host.files.names()) >= 1
    assert list(temporary.iterdir()) == [], "with a state directory nothing is put elsewhere"


async def test_a_taken_socket_stops_the_start_and_leaves_nothing(temporary, tmp_path):
    endpoint = parse_endpoint(str(tmp_path / "csi.sock"))
    before = asyncio.all_tasks()
    async with cluster(temporary, endpoint=endpoint):
        with pytest.raises(ClusterError, match="another process is listening"):
            async with cluster(temporary, endpoint=endpoint):
                pass
    assert asyncio.all_tasks() == before
    assert list(temporary.iterdir()) == []


async def test_a_node_whose_socket_path_is_too_long_stops_the_start(temporary, tmp_path):
    directory = tmp_path / ("x" * (95 - len(str(tmp_path))))
    endpoint = parse_endpoint(str(directory / "csi.sock"))

    with pytest.raises(ClusterError, match=r"node-number-two: .*choose a shorter endpoint"):
        async with cluster(temporary, endpoint=endpoint, node_ids=("a", "node-number-two")):
            pass
    assert list(directory.iterdir()) == []


async def test_other_pools_than_before_stop_the_start(temporary, tmp_path):
    async with cluster(temporary, state_dir=tmp_path / "state"):
        pass
    other = EmbeddedNas(pools=(Pool("fast", 1 << 40),))

    with pytest.raises(ClusterError, match="the embedded NAS cannot start"):
        async with cluster(
            temporary, state_dir=tmp_path / "state", nas=other, driver=DriverConfig(root_dataset="fast/csi")
        ):
            pass


async def test_a_broken_mount_table_stops_the_start_with_its_path(temporary, tmp_path):
    broken = tmp_path / "state" / "nodes" / "node-1" / "kernel.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")

    with pytest.raises(ClusterError, match=r"node node-1: .*kernel\.json"):
        async with cluster(temporary, state_dir=tmp_path / "state"):
            pass


async def test_observers_hear_of_every_call_and_wrapped_hosts_are_used(temporary):
    calls, wrapped = [], []

    def wrap(node_id, host, _machine):
        wrapped.append(node_id)
        return host

    settings = ClusterSettings(node_ids=("a", "b"), grace_period_s=1.0)
    async with (
        Cluster(settings, rng=random.Random(1), observers=[calls.append], parts=Parts(host=wrap)) as running,
        Client(running.node_endpoints["b"]) as client,
    ):
        await client.node.NodeGetInfo(csi.NodeGetInfoRequest())

    assert wrapped == ["a", "b"]
    assert [call.method for call in calls] == ["/csi.v1.Node/NodeGetInfo"]


async def test_the_key_of_the_embedded_nas_depends_on_the_random_source(temporary):
    keys = []
    for _ in range(2):
        async with cluster(temporary) as running:
            keys.append(running.nas_settings.api_key)

    assert keys[0] == keys[1]
    assert len(keys[0]) == len("1-") + 64


async def test_stopping_twice_is_fine_and_the_socket_is_gone(temporary):
    async with cluster(temporary) as running:
        await running.stop_serving()
        await running.stop_serving(grace_s=0.0)
        async with Client(running.endpoint) as client:
            assert await client.code(client.identity.Probe, csi.ProbeRequest()) is grpc.StatusCode.UNAVAILABLE
