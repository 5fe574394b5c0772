"""Clients with random calls on a driver that is not ours: what is asked of it, and in which words."""

import random

import pytest

from csisim.co.callers import CallFailed, Role
from csisim.pb import csi_pb2 as csi
from csisim.runs.drive import CannotDrive, drive
from csisim.runs.drive_bed import DriveBed
from csisim.runs.drive_clients import FittedCaller, fitted
from csisim.runs.stranger import meet
from tests.support.stranger import EVERYTHING, Rpc, Stranger

ROLE = Role("client-1", 5.0, frozenset())


@pytest.fixture
def socket(tmp_path_factory):
    return tmp_path_factory.mktemp("d") / "s.sock"


async def test_clients_find_what_is_wrong_and_leave_nothing(socket):
    async with Stranger(socket) as stranger:
        found = await drive(stranger.plan(workload="clients", users=2, rounds=15))
        assert list(stranger.volumes) == ["someone-elses"]
        assert not {"ControllerModifyVolume", "NodeExpandVolume", "GetSnapshot", "GetCapacity"} & set(stranger.asked)
    assert found.result.report.invariants["I3"] == "ok"
    assert found.result.report.looked_at["I5"]
    async with Stranger(socket, "two for one name") as stranger:
        found = await drive(stranger.plan(workload="clients", users=2, rounds=15))
    assert found.result.report.invariants["I2"] == "violation"


async def test_what_a_driver_does_without_is_not_asked_of_it(socket):
    some = [each for each in EVERYTHING if each not in {Rpc.PUBLISH_UNPUBLISH_VOLUME, Rpc.CLONE_VOLUME}]
    async with Stranger(socket, controller=some, node=[]) as stranger:
        plan = stranger.plan()
        rng = random.Random(1)
        async with DriveBed(plan, await meet(plan, rng), rng) as bed:
            controller, node = FittedCaller(bed, None), FittedCaller(bed, "i-0001")
            stub = controller.controller
            publish = csi.ControllerPublishVolumeRequest(volume_id="v", node_id="i-0001")
            assert await controller.once(ROLE, stub.ControllerPublishVolume, publish, "v") == (
                csi.ControllerPublishVolumeResponse()
            )
            stage = csi.NodeStageVolumeRequest(volume_id="v", staging_target_path="/s")
            assert await node.once(ROLE, node.node.NodeStageVolume, stage, "v") == csi.NodeStageVolumeResponse()
            clone = csi.CreateVolumeRequest(name="copy")
            clone.volume_content_source.volume.volume_id = "v"
            with pytest.raises(CallFailed, match="UNIMPLEMENTED: the driver has none"):
                await controller.once(ROLE, stub.CreateVolume, clone, "copy")
            await controller.close()
            await node.close()
        assert not {"ControllerPublishVolume", "NodeStageVolume", "CreateVolume"} & set(stranger.asked)


async def test_requests_get_names_parameters_secrets_and_modes(socket):
    async with Stranger(socket) as stranger:
        parameters = {"tier": "gold", "csi.storage.k8s.io/fstype": "xfs"}
        plan = stranger.plan(
            parameters=parameters, secrets={"s": {"key": "hidden"}}, access_mode="ReadWriteMany", fs_type="xfs"
        )
        known = await meet(plan, random.Random(1))
    request = csi.CreateVolumeRequest(name="pvc-1", parameters={"protocol": "nfs"})
    request.volume_capabilities.add().mount.SetInParent()
    made = fitted(request, plan, known)
    assert (made.name, dict(made.parameters), dict(made.secrets)) == (
        "5eed0001-pvc-1",
        {"tier": "gold"},
        {"key": "hidden"},
    )
    (capability,) = made.volume_capabilities
    assert capability.mount.fs_type == "xfs"
    assert capability.access_mode.mode == csi.VolumeCapability.AccessMode.MULTI_NODE_MULTI_WRITER
    assert request.name == "pvc-1"
    assert fitted(csi.DeleteVolumeRequest(volume_id="v"), plan, known).volume_id == "v"


async def test_clients_need_a_node(socket):
    async with Stranger(socket) as stranger:
        with pytest.raises(CannotDrive, match="clients need a node service"):
            await drive(stranger.plan(workload="clients", nodes={}))
