"""The node service as a whole: whole lives, argument checks, unknown volumes, and work without the NAS."""

# tests look at the real disk

import errno
from pathlib import Path

import pytest

from csisim import errors
from csisim.pb import csi_pb2 as pb
from tests.driver.node_world import GIB, PROTOCOLS, World, capability

KINDS = [("nfs", "mount"), ("iscsi", "mount"), ("nvmeof", "mount"), ("iscsi", "block"), ("nvmeof", "block")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(("protocol", "kind"), KINDS)
@pytest.mark.parametrize("times", [1, 3])
async def test_whole_life_leaves_nothing(tmp_path: Path, protocol: str, kind: str, times: int) -> None:
    world = World(tmp_path, on_disk=True)
    world.volume(protocol)
    for _ in range(times):
        await world.stage(volume_capability=capability(kind))
    for _ in range(times):
        await world.publish(volume_capability=capability(kind))
    assert Path(world.target).is_file() == (kind == "block")
    assert Path(world.target).is_dir() == (kind == "mount")
    assert len(await world.sim.mounter.mounts(world.target)) == 1
    usage = (await world.stats(world.target)).usage
    assert usage[0].total == GIB
    assert [each.unit for each in usage] == [pb.VolumeUsage.BYTES, pb.VolumeUsage.INODES][: 1 if kind == "block" else 2]
    for _ in range(times):
        await world.unpublish()
        assert not Path(world.target).exists()
    for _ in range(times):
        await world.unstage()
    assert await world.leaks() == []


@pytest.mark.parametrize(
    "request_of",
    [
        lambda world: world.stage_request(volume_id=""),
        lambda world: world.stage_request(staging_target_path=""),
        lambda world: pb.NodeStageVolumeRequest(volume_id="pvc-1", staging_target_path=world.staging),
        lambda world: world.stage_request(volume_capability=pb.VolumeCapability()),
        lambda world: world.stage_request(staging_target_path="relative/path"),
        lambda world: world.stage_request(staging_target_path="/var/lib/../../etc"),
        lambda world: world.stage_request(staging_target_path="/" + "x" * 5000),
        lambda world: world.stage_request(staging_target_path="/a\x00b"),
        lambda world: world.stage_request(staging_target_path="//"),
        lambda world: world.stage_request(volume_context={}),
        lambda world: world.stage_request(publish_context={"readonly": "yes"}),
        lambda world: world.publish_request(publish_context={"readonly": ""}),
        lambda world: world.stage_request(volume_context={"protocol": "smb"}),
        lambda world: world.stage_request(volume_context={"protocol": "nfs", "server": "nas", "share": "/mnt/../etc"}),
        lambda world: world.stage_request(volume_capability=capability(mount_flags=["bind"])),
        lambda world: world.stage_request(volume_capability=capability(mount_flags=["ro", "rw"])),
        lambda world: world.stage_request(volume_capability=capability(volume_mount_group="0,suid")),
        lambda _: pb.NodeUnstageVolumeRequest(staging_target_path="/staging"),
        lambda _: pb.NodeUnstageVolumeRequest(volume_id="pvc-1"),
        lambda world: world.publish_request(volume_id=""),
        lambda world: world.publish_request(target_path=""),
        lambda world: pb.NodePublishVolumeRequest(volume_id="pvc-1", target_path=world.target),
        lambda world: world.publish_request(target_path=f"{world.staging}/inside"),
        lambda world: world.publish_request(target_path=str(Path(world.staging).parent)),
        lambda _: pb.NodeUnpublishVolumeRequest(target_path="/target"),
        lambda _: pb.NodeUnpublishVolumeRequest(volume_id="pvc-1"),
        lambda _: pb.NodeUnpublishVolumeRequest(volume_id="pvc-1", target_path="/pods/../etc"),
        lambda _: pb.NodeGetVolumeStatsRequest(volume_path="/target"),
        lambda _: pb.NodeGetVolumeStatsRequest(volume_id="pvc-1"),
        lambda _: pb.NodeExpandVolumeRequest(volume_path="/target"),
        lambda _: pb.NodeExpandVolumeRequest(volume_id="pvc-1"),
        lambda world: pb.NodeExpandVolumeRequest(
            volume_id="pvc-1", volume_path=world.target, capacity_range=pb.CapacityRange(required_bytes=-1)
        ),
        lambda _: pb.NodeGetVolumeHealthRequest(),
    ],
)
async def test_missing_and_malformed_fields_are_refused(world: World, request_of) -> None:
    world.volume()
    with pytest.raises(errors.InvalidArgument):
        await world.call(request_of(world))
    assert await world.leaks() == []


@pytest.mark.parametrize("volume_id", ["pvc-gone", "not/ours", "x" * 128])
async def test_an_unknown_volume_is_not_found_where_it_must_exist(world: World, volume_id: str) -> None:
    for request in (
        world.stage_request(volume_id),
        world.publish_request(volume_id),
        pb.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=world.target),
        pb.NodeExpandVolumeRequest(volume_id=volume_id, volume_path=world.target),
        pb.NodeGetVolumeHealthRequest(volume_id=volume_id),
    ):
        with pytest.raises(errors.NotFound, match=volume_id):
            await world.call(request)
    await world.unpublish(volume_id)
    await world.unstage(volume_id)
    assert await world.leaks() == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_everything_after_stage_works_without_the_nas(world: World, protocol: str) -> None:
    world.volume(protocol)
    await world.stage()
    world.volumes.down, world.backend.outage = True, errno.ETIMEDOUT
    await world.stage()
    asked = world.volumes.asked
    await world.publish()
    await world.publish()
    await world.unpublish()
    await world.unstage()
    assert world.volumes.asked == asked
    assert await world.leaks() == []


async def test_capabilities_and_info(world: World) -> None:
    rpc = pb.NodeServiceCapability.RPC
    plain = await world.call(pb.NodeGetCapabilitiesRequest())
    assert {each.rpc.type for each in plain.capabilities} == {
        rpc.STAGE_UNSTAGE_VOLUME,
        rpc.GET_VOLUME_STATS,
        rpc.EXPAND_VOLUME,
        rpc.SINGLE_NODE_MULTI_WRITER,
        rpc.VOLUME_MOUNT_GROUP,
    }
    other = World(world.directory, volume_health=True, max_volumes_per_node=5, zone="z1")
    more = await other.call(pb.NodeGetCapabilitiesRequest())
    assert {each.rpc.type for each in more.capabilities} - {each.rpc.type for each in plain.capabilities} == {
        rpc.GET_VOLUME_HEALTH,
        rpc.GET_STORAGE_HEALTH,
    }
    info = await other.call(pb.NodeGetInfoRequest())
    assert (info.node_id, info.max_volumes_per_node) == ("node-1", 5)
    assert dict(info.accessible_topology.segments) == {other.config.zone_key: "z1"}
