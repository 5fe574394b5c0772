"""Node Service, as csi-sanity asserts it."""

from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.rpc import refused
from tests.support.sanity import EXPANDED_BYTES, Mode, Sanity, unique

spec = pytest.mark.spec


@spec("Node Service NodeGetCapabilities should return appropriate capabilities")
def test_node_capabilities(sanity: Sanity) -> None:
    rpc = csi.NodeServiceCapability.RPC
    assert {item.rpc.type for item in sanity.call(csi.NodeGetCapabilitiesRequest()).capabilities} == {
        rpc.STAGE_UNSTAGE_VOLUME,
        rpc.GET_VOLUME_STATS,
        rpc.EXPAND_VOLUME,
        rpc.SINGLE_NODE_MULTI_WRITER,
        rpc.VOLUME_MOUNT_GROUP,
    }


@spec("Node Service NodeGetInfo should return appropriate values")
def test_node_info(sanity: Sanity) -> None:
    info = sanity.node()
    assert info.node_id == "node-1"
    assert info.max_volumes_per_node == 5
    assert info.accessible_topology.segments


@spec("Node Service NodePublishVolume should fail when no volume id is provided")
def test_publish_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodePublishVolumeRequest())


@spec("Node Service NodePublishVolume should fail when no target path is provided")
def test_publish_without_target(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodePublishVolumeRequest(volume_id=unique("sanity-unknown")))


@spec("Node Service NodePublishVolume should fail when no volume capability is provided")
def test_publish_without_capability(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodePublishVolumeRequest(volume_id=unique("sanity-unknown"), target_path=sanity.target))


@spec(
    "Node Service NodePublishVolume with single node multi writer capability should fail when volume with single node"
    " single writer access mode is already mounted at a different target path"
)
def test_second_target_of_a_single_writer(sanity: Sanity) -> None:
    mode = Mode.SINGLE_NODE_SINGLE_WRITER
    request = sanity.volume_request(unique("sanity-node-single-writer"))
    request.volume_capabilities[0].access_mode.mode = mode
    volume = sanity.create(request)
    context = sanity.attach(volume, sanity.node().node_id, mode)
    sanity.call(sanity.stage_request(volume, context, mode))
    sanity.call(sanity.publish_request(volume, context, mode=mode))
    other = str(sanity.mount_dir / "other_target")
    with refused(StatusCode.FAILED_PRECONDITION):
        sanity.call(sanity.publish_request(volume, context, other, mode))
    assert not Path(other).exists()


@spec("Node Service NodeUnpublishVolume should fail when no volume id is provided")
def test_unpublish_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeUnpublishVolumeRequest())


@spec("Node Service NodeUnpublishVolume should fail when no target path is provided")
def test_unpublish_without_target(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeUnpublishVolumeRequest(volume_id=unique("sanity-unknown")))


@spec("Node Service NodeUnpublishVolume should remove target path")
def test_unpublish_removes_the_target(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-node-unpublish")
    target = Path(sanity.to_the_node(volume))
    assert target.is_dir() is (sanity.access_type == "mount")
    assert target.exists()
    sanity.call(csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=str(target)))
    assert not target.exists()


@spec("Node Service NodeStageVolume should fail when no volume id is provided")
def test_stage_without_id(sanity: Sanity) -> None:
    request = csi.NodeStageVolumeRequest(staging_target_path=sanity.staging, volume_capability=sanity.capability())
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(request)


@spec("Node Service NodeStageVolume should fail when no staging target path is provided")
def test_stage_without_path(sanity: Sanity) -> None:
    request = csi.NodeStageVolumeRequest(volume_id=unique("sanity-unknown"), volume_capability=sanity.capability())
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(request)


@spec("Node Service NodeStageVolume should fail when no volume capability is provided")
def test_stage_without_capability(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-node-stage-nocaps")
    context = sanity.attach(volume, sanity.node().node_id)
    request = sanity.stage_request(volume, context)
    request.ClearField("volume_capability")
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(request)


@spec("Node Service NodeUnstageVolume should fail when no volume id is provided")
def test_unstage_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeUnstageVolumeRequest(staging_target_path=sanity.staging))


@spec("Node Service NodeUnstageVolume should fail when no staging target path is provided")
def test_unstage_without_path(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeUnstageVolumeRequest(volume_id=unique("sanity-unknown")))


@spec("Node Service NodeGetVolumeStats should fail when no volume id is provided")
def test_stats_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeGetVolumeStatsRequest(volume_path="some/path"))


@spec("Node Service NodeGetVolumeStats should fail when no volume path is provided")
def test_stats_without_path(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeGetVolumeStatsRequest(volume_id=unique("sanity-unknown")))


@spec("Node Service NodeGetVolumeStats should fail when volume is not found")
def test_stats_of_an_unknown_volume(sanity: Sanity) -> None:
    with refused(StatusCode.NOT_FOUND):
        sanity.call(csi.NodeGetVolumeStatsRequest(volume_id=unique("sanity-unknown"), volume_path="some/path"))


@spec("Node Service NodeGetVolumeStats should fail when volume does not exist on the specified path")
def test_stats_at_another_path(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-node-get-volume-stats")
    sanity.to_the_node(volume)
    with refused(StatusCode.NOT_FOUND):
        sanity.call(csi.NodeGetVolumeStatsRequest(volume_id=volume.volume_id, volume_path="some/path"))


@spec("Node Service NodeExpandVolume should fail when no volume id is provided")
def test_expand_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeExpandVolumeRequest(volume_path=sanity.target))


@spec("Node Service NodeExpandVolume should fail when no volume path is provided")
def test_expand_without_path(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-node-expand-volume-valid-id")
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.NodeExpandVolumeRequest(volume_id=volume.volume_id))


@spec("Node Service NodeExpandVolume should fail when volume is not found")
def test_expand_an_unknown_volume(sanity: Sanity) -> None:
    with refused(StatusCode.NOT_FOUND):
        sanity.call(csi.NodeExpandVolumeRequest(volume_id=unique("sanity-unknown"), volume_path="some/path"))


@spec("Node Service NodeExpandVolume should work if node-expand is called after node-publish")
def test_expand_after_publish(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-node-expand-volume")
    wanted = csi.CapacityRange(required_bytes=EXPANDED_BYTES)
    grown = sanity.call(csi.ControllerExpandVolumeRequest(volume_id=volume.volume_id, capacity_range=wanted))
    assert grown.capacity_bytes == EXPANDED_BYTES
    target = sanity.to_the_node(volume)
    request = csi.NodeExpandVolumeRequest(volume_id=volume.volume_id, volume_path=target, capacity_range=wanted)
    sanity.call(request)


def _whole_way(sanity: Sanity, times: int) -> Any:
    info = sanity.node()
    volume = sanity.new_volume("sanity-node-full", accessibility_requirements=sanity.in_node_topology(info))
    context = sanity.attach(volume, info.node_id)
    for _ in range(times):
        sanity.call(sanity.stage_request(volume, context))
    for _ in range(times):
        sanity.call(sanity.publish_request(volume, context))
    stats = sanity.call(csi.NodeGetVolumeStatsRequest(volume_id=volume.volume_id, volume_path=sanity.target))
    assert {usage.unit for usage in stats.usage} <= {csi.VolumeUsage.BYTES, csi.VolumeUsage.INODES}
    assert max(usage.total for usage in stats.usage if usage.unit == csi.VolumeUsage.BYTES) > 0


@spec("Node Service should work")
def test_whole_way(sanity: Sanity) -> None:
    _whole_way(sanity, 1)


@spec("Node Service should be idempotent")
def test_whole_way_with_every_step_repeated(sanity: Sanity) -> None:
    _whole_way(sanity, 10)
