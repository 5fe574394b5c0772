"""Kubelet against a node service that says OK and does what it is told, or does not."""

import random
from pathlib import Path

import grpc
import pytest

from csisim.co.callers import Caller, Calls, dial
from csisim.co.kubelet import CheckFailed, Kubelet
from csisim.co.plans import VolumePlan
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc

PLAN = VolumePlan("pvc-1", "nfs", ("node-1",))
RAW = VolumePlan("pvc-1", "iscsi", ("node-1",), block=True)
VOLUME = csi.Volume(volume_id="pvc-1")


class Node(csi_pb2_grpc.NodeServicer):
    """Makes and removes target directories, and tells sizes, unless told otherwise."""

    def __init__(self):
        self.node_id = "node-1"
        self.total_bytes = PLAN.size_bytes
        self.lazy = False

    async def NodeGetInfo(self, request, context):  # noqa: N802
        return csi.NodeGetInfoResponse(node_id=self.node_id)

    async def NodeGetCapabilities(self, request, context):  # noqa: N802
        return csi.NodeGetCapabilitiesResponse()

    async def NodeStageVolume(self, request, context):  # noqa: N802
        assert Path(request.staging_target_path).is_dir()
        return csi.NodeStageVolumeResponse()

    async def NodePublishVolume(self, request, context):  # noqa: N802
        if not self.lazy:
            Path(request.target_path).mkdir()
        return csi.NodePublishVolumeResponse()

    async def NodeGetVolumeStats(self, request, context):  # noqa: N802
        return csi.NodeGetVolumeStatsResponse(usage=[csi.VolumeUsage(total=self.total_bytes, unit="BYTES")])

    async def NodeUnpublishVolume(self, request, context):  # noqa: N802
        if not self.lazy:
            Path(request.target_path).rmdir()
        return csi.NodeUnpublishVolumeResponse()

    async def NodeUnstageVolume(self, request, context):  # noqa: N802
        return csi.NodeUnstageVolumeResponse()


@pytest.fixture
async def node(tmp_path):
    servicer = Node()
    server = grpc.aio.server()
    csi_pb2_grpc.add_NodeServicer_to_server(servicer, server)
    servicer.target = f"unix://{tmp_path}/csi.sock"
    server.add_insecure_port(servicer.target)
    await server.start()
    yield servicer
    await server.stop(None)


@pytest.fixture
async def kubelet(node, tmp_path):
    home = tmp_path / "kubelet"
    for name in ("plugins", "pods"):
        (home / name).mkdir(parents=True)
    kubelet = Kubelet("node-1", Caller(dial(node.target), Calls(), random.Random(1)), home)
    yield kubelet
    await kubelet.close()


async def test_what_is_mounted_and_unmounted_leaves_nothing(kubelet):
    await kubelet.register()
    await kubelet.mount(PLAN, VOLUME, {})
    await kubelet.check_size(PLAN, "pvc-1", PLAN.size_bytes)
    assert kubelet.leftovers() != []

    await kubelet.unmount(PLAN, "pvc-1")

    assert kubelet.leftovers() == []


async def test_a_node_with_another_name_is_noticed(node, kubelet):
    node.node_id = "node-2"

    with pytest.raises(CheckFailed, match="'node-2' on the socket of 'node-1'"):
        await kubelet.register()


async def test_a_target_that_did_not_appear_is_noticed(node, kubelet):
    node.lazy = True

    with pytest.raises(CheckFailed, match="is not the directory"):
        await kubelet.mount(PLAN, VOLUME, {})


async def test_a_target_of_the_wrong_type_is_noticed(kubelet):
    with pytest.raises(CheckFailed, match="is not the file"):
        await kubelet.mount(RAW, VOLUME, {})


async def test_a_target_that_stays_is_noticed_and_found_in_the_end(node, kubelet):
    await kubelet.mount(PLAN, VOLUME, {})
    node.lazy = True

    with pytest.raises(CheckFailed, match="still there after NodeUnpublishVolume"):
        await kubelet.unmount(PLAN, "pvc-1")
    assert "pods/pod-pvc-1/volumes/pvc-1" in kubelet.leftovers()


async def test_a_wrong_size_is_noticed(node, kubelet):
    await kubelet.mount(PLAN, VOLUME, {})
    node.total_bytes = 5

    with pytest.raises(CheckFailed, match=r"says \[5\] bytes instead of 1073741824"):
        await kubelet.check_size(PLAN, "pvc-1", PLAN.size_bytes)


async def test_a_directory_that_is_not_empty_is_left_alone(kubelet):
    await kubelet.mount(PLAN, VOLUME, {})
    kept = kubelet.staging_path(PLAN) / "data"
    kept.touch()

    await kubelet.unmount(PLAN, "pvc-1")

    assert kept.exists()
    assert "plugins/pvc-1/globalmount/data" in kubelet.leftovers()
