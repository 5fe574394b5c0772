"""Stage and unstage, row by row of the error table."""

# tests look at the real disk

import errno
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from csisim import errors
from csisim.driver.statuses import status_of
from tests.driver.node_world import GIB, PROTOCOLS, Mode, World, capability


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_stage_with_another_capability_or_path_is_refused(world: World) -> None:
    world.volume("iscsi")
    await world.stage()
    for fields in (
        {"volume_capability": capability(mode=Mode.SINGLE_NODE_READER_ONLY)},
        {"volume_capability": capability("block")},
        {"staging_target_path": world.staging + "-2"},
    ):
        with pytest.raises(errors.AlreadyExists, match="unstage it first"):
            await world.stage(**fields)
    await world.stage()
    await world.unstage()
    assert await world.leaks() == []


async def test_stage_beyond_what_the_volume_can_do_is_refused(world: World) -> None:
    world.volume("nfs", "shared")
    world.volume("iscsi", "zvol")
    with pytest.raises(errors.FailedPrecondition, match="no block device"):
        await world.stage("shared", volume_capability=capability("block"))
    with pytest.raises(errors.FailedPrecondition, match="btrfs"):
        await world.stage("zvol", volume_capability=capability(fs_type="btrfs"))
    assert await world.leaks() == []


async def test_stage_says_unavailable_while_the_nas_is_down(world: World) -> None:
    world.volume()
    world.volumes.down = True
    with pytest.raises(errors.NasIndeterminate) as unreachable:
        await world.stage()
    assert status_of(unreachable.value)[0] is StatusCode.UNAVAILABLE
    assert await world.leaks() == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_stage_of_a_volume_that_is_not_published_here_names_what_comes_first(world: World, protocol: str) -> None:
    world.volume(protocol)
    world.volumes.published.clear()
    for fields in ({}, {"volume_context": {}}):
        with pytest.raises((errors.FailedPrecondition, errors.InvalidArgument)) as refused:
            await world.stage(**fields)
        assert fields or "ControllerPublishVolume" in str(refused.value)
    assert await world.leaks() == []


async def test_staging_again_after_the_volume_was_taken_from_this_node_is_refused_and_leaves_it_staged(
    world: World,
) -> None:
    world.volume()
    await world.stage()
    world.volumes.published.clear()
    with pytest.raises(errors.FailedPrecondition, match="ControllerPublishVolume"):
        await world.stage()
    world.volumes.known.clear()
    with pytest.raises(errors.NotFound):
        await world.stage()
    assert len(await world.sim.mounter.mounts(world.staging)) == 1
    await world.unstage()
    assert await world.leaks() == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_the_controller_published_read_only_is_mounted_so_even_after_a_reboot(
    world: World, protocol: str
) -> None:
    world.volume(protocol)
    if protocol != "nfs":
        await world.stage()
        await world.unstage()
    flags = capability(mount_flags=["noatime", "rw"])
    for _ in range(2):
        await world.stage(publish_context={"readonly": "true"}, volume_capability=flags)
        (point,) = await world.sim.mounter.mounts(world.staging)
        assert point.options == ("ro", "noatime")
        with pytest.raises(errors.FailedPrecondition, match="read-only"):
            await world.publish()
        with pytest.raises(errors.AlreadyExists, match="unstage it first"):
            await world.stage(publish_context={"readonly": "false"}, volume_capability=flags)
        world.sim.reboot()
        world.restart()


async def test_a_blank_device_that_was_published_read_only_is_not_formatted(world: World) -> None:
    world.volume("iscsi")
    with pytest.raises(errors.FailedPrecondition, match="blank and published read-only"):
        await world.stage(publish_context={"readonly": "true"})
    assert world.backend.superblocks == {}
    await world.unstage()
    assert await world.leaks() == []


async def test_unstage_of_what_a_damaged_record_may_tell_of_names_the_record(world: World) -> None:
    world.volume("nfs", "pvc-2")
    world.volume()
    await world.stage()
    await world.sim.files.write("pvc-1", b"{")
    with pytest.raises(errors.FailedPrecondition, match=r"no record that can be read \(pvc-1 cannot\)"):
        await world.unstage("pvc-2")
    await world.stage("pvc-2", staging_target_path=world.staging + "-2")
    await world.unstage("pvc-3", staging=world.staging + "-2")
    with pytest.raises(errors.FailedPrecondition, match="pvc-1 is damaged"):
        await world.unstage()
    assert len(world.sim.mounter.all_mounts()) == 2


async def test_unstage_of_a_published_volume_is_refused(world: World) -> None:
    world.volume("iscsi")
    shared = capability(mode=Mode.SINGLE_NODE_MULTI_WRITER)
    await world.stage(volume_capability=shared)
    await world.publish(volume_capability=shared)
    await world.publish(volume_capability=shared, target_path=world.target + "-2")
    await world.unpublish()
    with pytest.raises(errors.FailedPrecondition, match="target-2"):
        await world.unstage()
    assert len(await world.sim.mounter.mounts(world.staging)) == 1
    await world.unpublish(target=world.target + "-2")
    await world.unstage()
    assert await world.leaks() == []


async def test_unstage_is_refused_while_an_unrecorded_bind_mount_is_left(world: World) -> None:
    world.volume()
    await world.stage()
    await world.sim.mounter.make_dir(world.target)
    await world.sim.mounter.bind(world.staging, world.target, ())
    with pytest.raises(errors.FailedPrecondition, match="still published"):
        await world.unstage()


async def test_unstage_at_another_path_leaves_the_volume_staged(world: World) -> None:
    world.volume("iscsi")
    await world.stage()
    await world.unstage(staging=world.staging + "-2")
    assert len(await world.sim.mounter.mounts(world.staging)) == 1
    assert len(world.sim.devices.rows()) == 1


async def test_a_staging_directory_of_the_caller_stays(world: World) -> None:
    world.volume()
    Path(world.staging).mkdir()
    await world.stage()
    await world.unstage()
    assert list(Path(world.staging).iterdir()) == []


async def test_a_larger_clone_is_grown_when_it_is_staged(world: World) -> None:
    world.volume("iscsi", "pvc-1")
    world.volume("iscsi", "pvc-2")
    staged = capability(fs_type="xfs")
    await world.stage("pvc-1", volume_capability=staged)
    world.backend.clone("zvol-pvc-1", "zvol-pvc-2")
    world.backend.sizes["zvol-pvc-2"] = 2 * GIB
    await world.stage("pvc-2", staging_target_path=world.staging + "-2", volume_capability=staged)
    assert (await world.stats(world.staging + "-2", "pvc-2")).usage[0].total == 2 * GIB


async def test_a_file_system_follows_the_volume_and_is_never_made_again(tmp_path: Path) -> None:
    one, two = World(tmp_path / "1"), World(tmp_path / "2", node_id="node-2")
    two.backend = one.backend
    two.sim = type(two.sim)(one.backend)
    two.restart()
    for world in (one, two):
        world.volume("iscsi")
    await one.stage(volume_capability=capability(fs_type="xfs"))
    made = one.backend.superblocks["zvol-pvc-1"]
    await one.unstage()
    with pytest.raises(errors.FailedPrecondition, match="left alone"):
        await two.stage(volume_capability=capability(fs_type="ext4"))
    await two.stage()
    assert (await two.sim.mounter.mounts(two.staging))[0].fs_type == "xfs"
    assert one.backend.superblocks["zvol-pvc-1"] == made


async def test_chap_secrets_reach_the_initiator_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path, on_disk=True)
    world.volume("iscsi")
    world.backend.passwords["zvol-pvc-1"] = "hunter2"
    with pytest.raises(errors.PermissionDenied) as refused:
        await world.stage(secrets={"node.session.auth.username": "u", "node.session.auth.password": "guess1"})
    assert "guess1" not in str(refused.value)
    await world.stage(secrets={"node.session.auth.username": "u", "node.session.auth.password": "hunter2"})
    kept = [path.read_text() for path in (tmp_path / "state").iterdir()]
    assert kept
    assert "hunter2" not in "".join(kept)
    assert "hunter2" not in str(world.sim.devices.rows())


async def test_a_missing_target_or_export_is_not_found_and_leaves_nothing_after_unstage(world: World) -> None:
    for protocol in ("nfs", "iscsi"):
        world.volume(protocol)
        world.backend.exports.clear()
        world.backend.targets.clear()
        with pytest.raises(errors.NotFound, match="ENOENT"):
            await world.stage()
        await world.unstage()
        assert await world.leaks() == []


async def test_targets_that_a_reboot_unmounted_are_cleared_away_by_unstage(world: World) -> None:
    world.volume()
    shared = capability(mode=Mode.SINGLE_NODE_MULTI_WRITER)
    await world.stage(volume_capability=shared)
    await world.publish(volume_capability=shared)
    await world.publish(volume_capability=shared, target_path=world.target + "-2")
    world.sim.reboot()
    world.restart()
    kept = Path(world.target + "-2") / "written-after-the-reboot"
    kept.write_text("data")
    await world.unstage()
    assert await world.leaks() == []
    assert kept.read_text() == "data"


async def test_a_volume_that_moved_to_another_address_is_staged_from_there(world: World) -> None:
    world.volume("iscsi")
    await world.stage()
    old = world.sim.devices.rows()[0]["device"]
    world.sim.reboot()
    world.restart()
    await world.sim.devices.connect("iscsi", world.contexts["pvc-1"])
    moved = {**world.contexts["pvc-1"], "portal": "nas-2.example:3260"}
    world.backend.offer("iscsi", moved, "zvol-pvc-1", GIB)
    await world.stage(volume_context=moved)
    (session,) = world.sim.devices.rows()
    assert "nas-2.example" in session["device"]
    assert [point.source for point in world.sim.mounter.all_mounts()] == [session["device"]] != [old]
    await world.unstage()
    assert await world.leaks() == []


async def test_an_interrupted_stage_can_be_followed_by_one_to_another_address(world: World) -> None:
    world.volume("iscsi")
    world.sim.devices.appear_after_s = 9.0
    with pytest.raises(errors.DeadlineExceeded):
        await world.stage()
    world.sim.devices.appear_after_s = 0.0
    moved = {**world.contexts["pvc-1"], "portal": "nas-2.example:3260"}
    with pytest.raises(errors.NotFound, match=r"ENOENT"):
        await world.stage(volume_context=moved)
    assert world.sim.devices.rows() == []
    assert b"by-path" not in (await world.sim.files.read("pvc-1") or b"")


async def test_a_stale_nfs_mount_is_made_anew_by_staging_again(world: World) -> None:
    world.volume()
    await world.stage()
    mounted: list[str] = []
    stats, check = world.backend.fs_stats, world.backend.check_export

    async def stale_until_mounted(source: str):
        if not mounted:
            raise OSError(errno.ESTALE, "stale", source)
        return await stats(source)

    async def check_export(source: str, fs_type: str) -> None:
        mounted.append(source)
        await check(source, fs_type)

    world.backend.fs_stats = stale_until_mounted  # type: ignore[method-assign]
    world.backend.check_export = check_export  # type: ignore[method-assign]
    await world.stage()
    await world.stage()
    assert mounted == ["nas.example:/mnt/tank/csi/pvc-1"]
    assert len(await world.sim.mounter.mounts(world.staging)) == 1


async def test_a_mount_whose_device_was_lost_is_made_anew_by_staging_again(world: World) -> None:
    world.volume("iscsi")
    await world.stage()
    made = world.backend.superblocks["zvol-pvc-1"]
    world.sim.devices.vanish(world.sim.devices.rows()[0]["device"])
    with pytest.raises(errors.Unavailable, match="EIO"):
        await world.stats(world.staging)
    await world.stage()
    await world.stats(world.staging)
    assert len(await world.sim.mounter.mounts(world.staging)) == 1
    assert world.backend.superblocks["zvol-pvc-1"] == made


async def test_a_volume_of_an_interrupted_stage_may_be_deleted_and_is_then_not_found(world: World) -> None:
    world.volume("iscsi")
    world.sim.devices.appear_after_s = 9.0
    with pytest.raises(errors.DeadlineExceeded):
        await world.stage()
    world.volumes.known.clear()
    with pytest.raises(errors.NotFound, match="does not exist"):
        await world.stage()
    await world.unstage()
    assert await world.leaks() == []


async def test_an_interrupted_stage_can_be_followed_by_one_at_another_path(world: World) -> None:
    world.volume()
    world.backend.exports.clear()
    with pytest.raises(errors.NotFound, match="ENOENT"):
        await world.stage()
    world.volume()
    other = world.staging + "-2"
    await world.stage(staging_target_path=other)
    assert not Path(world.staging).exists()
    await world.unstage(staging=other)
    assert not Path(other).exists()
    assert await world.leaks() == []


@pytest.mark.parametrize("before", [True, False])
async def test_a_file_system_that_was_mounted_and_not_grown_is_grown_by_the_repeat(world: World, before: bool) -> None:
    world.volume("iscsi")
    await world.stage()
    await world.unstage()
    world.backend.sizes["zvol-pvc-1"] = 2 * GIB  # as a restored volume that is larger than its snapshot
    left = 1

    class Failing:
        """Fails once: when the file system is to grow, or when it has just been mounted."""

        def __init__(self, part: Any) -> None:
            self.part = part

        async def mount(self, *args: Any) -> None:
            nonlocal left
            await self.part.mount(*args)
            if not before and left:
                left -= 1
                raise OSError(errno.EIO, "lost", args[1])

        async def resize_fs(self, path: str) -> int:
            nonlocal left
            if before and left:
                left -= 1
                raise OSError(errno.EIO, "lost", path)
            size_bytes: int = await self.part.resize_fs(path)
            return size_bytes

        def __getattr__(self, name: str) -> Any:
            return getattr(self.part, name)

    world.restart(Failing)
    with pytest.raises(errors.Unavailable):
        await world.stage()
    world.restart()

    await world.stage()

    assert (await world.stats(world.staging)).usage[0].total == 2 * GIB
    world.volumes.down = True
    world.backend.outage = errno.ETIMEDOUT
    await world.stage()  # is done, and needs nobody any more


def failing(world: World, number: int, forever: bool = False, code: int = errno.EROFS) -> Any:
    """Records cannot be written the so-manyth time, and if so never removed, because their file system is read-only."""
    real, count = world.sim.files, 0

    class Files:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def write(self, name: str, content: bytes) -> None:
            nonlocal count
            count += 1
            if count == number:
                raise OSError(code, "", name)
            await real.write(name, content)

        async def remove(self, name: str) -> None:
            if forever and count >= number:
                raise OSError(errno.EROFS, "", name)
            await real.remove(name)

    return lambda part: Files() if part is real else part


@pytest.mark.parametrize(("protocol", "number"), [("nfs", 1), ("iscsi", 1), ("iscsi", 2), ("iscsi", 3)])
async def test_a_stage_that_is_refused_for_good_leaves_nothing(world: World, protocol: str, number: int) -> None:
    world.volume(protocol)
    world.restart(failing(world, number))
    with pytest.raises(errors.FailedPrecondition, match="EROFS"):
        await world.stage()
    assert await world.leaks() == []
    await world.stage()
    await world.unstage()
    assert await world.leaks() == []


@pytest.mark.parametrize("number", [1, 2])
async def test_a_repeat_that_is_refused_for_good_takes_along_what_was_left_half_way(world: World, number: int) -> None:
    world.volume("iscsi")
    world.restart(failing(world, 2, code=errno.EIO))
    with pytest.raises(errors.Unavailable):
        await world.stage()
    assert await world.leaks()
    world.restart(failing(world, number))
    with pytest.raises(errors.FailedPrecondition, match="EROFS"):
        await world.stage()
    assert await world.leaks() == []


async def test_a_volume_that_is_gone_when_its_stage_is_repeated_leaves_nothing(world: World) -> None:
    world.volume("iscsi")
    world.restart(failing(world, 3, code=errno.EIO))
    with pytest.raises(errors.Unavailable):
        await world.stage()
    world.restart()
    world.volumes.known.clear()
    world.volumes.published.clear()
    with pytest.raises(errors.NotFound):
        await world.stage()
    assert await world.leaks() == []


async def test_a_stage_that_cannot_be_undone_is_not_refused_for_good(world: World) -> None:
    world.volume("iscsi")
    world.restart(failing(world, 2, forever=True))
    with pytest.raises(errors.Aborted, match=r"EROFS.* cannot be undone yet: .*EROFS"):
        await world.stage()
    world.restart()
    await world.unstage()
    assert await world.leaks() == []


async def test_a_refusal_takes_nothing_away_that_was_staged_before(world: World) -> None:
    world.volume("iscsi")
    await world.stage()
    world.restart(failing(world, 1))
    (mounted,) = world.sim.mounter.all_mounts()
    with pytest.raises(errors.AlreadyExists):
        await world.stage(volume_capability=capability("block"))
    assert world.sim.mounter.all_mounts() == (mounted,)
    await world.unstage()
    assert await world.leaks() == []
