"""Volume and storage health as one node sees it."""

import errno
from pathlib import Path

import pytest

from csisim import errors
from csisim.pb import csi_pb2 as pb
from tests.driver.node_world import PROTOCOLS, World, capability


async def reasons(world: World, volume_id: str = "pvc-1", **paths: str) -> list[str]:
    reply = await world.call(pb.NodeGetVolumeHealthRequest(volume_id=volume_id, **paths))
    assert reply.volume_health.volume_id == volume_id
    assert all(each.status == pb.INACCESSIBLE and each.message for each in reply.volume_health.health_statuses)
    return [each.reason for each in reply.volume_health.health_statuses]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_well_volume_has_no_entries(tmp_path: Path, protocol: str) -> None:
    world = World(tmp_path)
    world.volume(protocol)
    await world.stage()
    await world.publish()
    assert await reasons(world) == []
    assert await reasons(world, volume_publish_path=world.target, staging_target_path=world.staging) == []
    assert not (await world.call(pb.NodeGetStorageHealthRequest())).backend_health


async def test_a_volume_is_not_found_where_it_is_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.volume()
    await world.stage()
    for paths in ({"volume_publish_path": world.target}, {"staging_target_path": "/elsewhere"}):
        with pytest.raises(errors.NotFound):
            await reasons(world, **paths)


async def test_a_lost_device_is_told_of_until_it_is_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.volume("iscsi")
    await world.stage(volume_capability=capability("block"))
    world.sim.devices.vanish(world.sim.devices.rows()[0]["device"])
    assert await reasons(world) == ["DeviceMissing"]
    await world.stage(volume_capability=capability("block"))
    assert await reasons(world) == []


async def test_lost_mounts_are_told_of(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.volume()
    await world.stage()
    await world.publish()
    await world.sim.mounter.umount(world.target)
    assert await reasons(world) == ["TargetNotMounted"]
    await world.sim.mounter.umount(world.staging)
    assert await reasons(world) == ["StagingNotMounted", "TargetNotMounted"]


@pytest.mark.parametrize(
    ("number", "reason", "unreachable"),
    [(errno.ESTALE, "StaleMount", False), (errno.ETIMEDOUT, "ServerUnreachable", True), (errno.EIO, "IoError", False)],
)
async def test_storage_is_unreachable_only_where_nothing_answers(
    tmp_path: Path, number: int, reason: str, unreachable: bool
) -> None:
    world = World(tmp_path)
    for volume_id in ("pvc-1", "pvc-2"):
        world.volume("nfs", volume_id)
        await world.stage(volume_id, staging_target_path=f"{world.staging}-{volume_id}")
    world.backend.outage = number
    assert await reasons(world) == [reason]
    entries = (await world.call(pb.NodeGetStorageHealthRequest())).backend_health
    assert [(each.status, each.reason) for each in entries] == (
        [(pb.STORAGE_UNREACHABLE, "NFSUnreachable")] if unreachable else []
    )


async def test_a_damaged_record_is_told_of_beside_what_else_is_wrong(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.volume()
    await world.stage()
    await world.sim.files.write("pvc-0", b"{")
    world.backend.outage = errno.ETIMEDOUT
    entries = (await world.call(pb.NodeGetStorageHealthRequest())).backend_health
    assert [(each.status, each.reason) for each in entries] == [
        (pb.STORAGE_UNREACHABLE, "NFSUnreachable"),
        (pb.STORAGE_DEGRADED, "RecordDamaged"),
    ]
    assert "pvc-0" in entries[1].message
    with pytest.raises(errors.FailedPrecondition, match="pvc-0 is damaged"):
        await reasons(world, "pvc-0")
