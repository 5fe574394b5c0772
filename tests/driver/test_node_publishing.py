"""Publish and unpublish, row by row of the error table; what is mounted or kept is never deleted."""

# tests look at the real disk

import asyncio
import errno
from pathlib import Path

import pytest

from csisim import errors
from tests.driver.node_world import GIB, PROTOCOLS, Mode, World, capability, in_no_time


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_publish_needs_a_staged_volume_at_the_given_path(world: World) -> None:
    world.volume()
    with pytest.raises(errors.FailedPrecondition, match="staging_target_path"):
        await world.publish(staging_target_path="")
    with pytest.raises(errors.FailedPrecondition, match="not staged"):
        await world.publish()
    world.volumes.down = True
    with pytest.raises(errors.FailedPrecondition, match="not staged"):
        await world.publish()
    world.volumes.down = False
    await world.stage()
    with pytest.raises(errors.FailedPrecondition, match="staged at"):
        await world.publish(staging_target_path=world.staging + "-2")
    assert not Path(world.target).exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_publish_after_a_reboot_asks_for_staging_again(world: World, protocol: str) -> None:
    world.volume(protocol)
    await world.stage()
    await world.publish()
    world.sim.reboot()
    world.restart()
    with pytest.raises(errors.FailedPrecondition, match="stage it again"):
        await world.publish()
    await world.stage()
    await world.publish()
    await world.unpublish()
    await world.unstage()
    assert await world.leaks() == []


async def test_publish_at_the_same_path_with_other_arguments_is_refused(world: World) -> None:
    world.volume()
    await world.stage()
    await world.publish()
    for fields in (
        {"readonly": True},
        {"volume_capability": capability(mode=Mode.SINGLE_NODE_READER_ONLY)},
        {"volume_capability": capability(mount_flags=["noatime"])},
    ):
        with pytest.raises(errors.AlreadyExists, match="unpublish it first"):
            await world.publish(**fields)
    await world.publish()


@pytest.mark.parametrize("mode", [mode for mode in Mode.Mode.values() if mode])
async def test_access_mode_decides_whether_a_second_target_is_allowed(world: World, mode: int) -> None:
    shareable = {
        Mode.MULTI_NODE_READER_ONLY,
        Mode.MULTI_NODE_SINGLE_WRITER,
        Mode.MULTI_NODE_MULTI_WRITER,
        Mode.SINGLE_NODE_MULTI_WRITER,
    }
    world.volume()
    wanted, second = capability(mode=mode), world.target + "-2"
    await world.stage(volume_capability=wanted)
    await world.publish(volume_capability=wanted)
    await world.publish(volume_capability=wanted)
    with pytest.raises(errors.AlreadyExists):
        await world.publish(volume_capability=wanted, readonly=True)
    if mode in shareable:
        await world.publish(volume_capability=wanted, target_path=second)
        await world.unpublish(target=second)
    else:
        with pytest.raises(errors.FailedPrecondition, match="published at"):
            await world.publish(volume_capability=wanted, target_path=second)
    assert not Path(second).exists()
    await world.unpublish()
    await world.unstage()
    assert await world.leaks() == []


async def test_an_exclusive_target_forbids_a_shareable_second_one(world: World) -> None:
    world.volume()
    await world.stage()
    await world.publish(volume_capability=capability(mode=Mode.SINGLE_NODE_SINGLE_WRITER))
    with pytest.raises(errors.FailedPrecondition):
        await world.publish(
            target_path=world.target + "-2", volume_capability=capability(mode=Mode.SINGLE_NODE_MULTI_WRITER)
        )


async def test_readonly_and_mount_flags_reach_the_mount_table(world: World) -> None:
    world.volume()
    staged = capability(mount_flags=["noatime,nodiratime"], volume_mount_group="1000")
    await world.stage(volume_capability=staged)
    (point,) = await world.sim.mounter.mounts(world.staging)
    assert point.options == ("rw", "noatime", "nodiratime", "gid=1000")
    await world.publish(readonly=True, volume_capability=capability(mount_flags=["nosuid"]))
    (point,) = await world.sim.mounter.mounts(world.target)
    assert point.options == ("ro", "nosuid")


async def test_a_volume_staged_read_only_is_not_published_read_write(world: World) -> None:
    world.volume()
    await world.stage(volume_capability=capability(mode=Mode.MULTI_NODE_READER_ONLY))
    with pytest.raises(errors.FailedPrecondition, match="read-only"):
        await world.publish()
    await world.publish(readonly=True)


@pytest.mark.parametrize(("protocol", "kind"), [("nfs", "mount"), ("iscsi", "block"), ("nvmeof", "block")])
@pytest.mark.parametrize("staged", [{"readonly": "true"}, {}])
async def test_what_the_controller_published_read_only_is_not_published_read_write(
    world: World, protocol: str, kind: str, staged: dict[str, str]
) -> None:
    world.volume(protocol)
    wanted = {"volume_capability": capability(kind), "publish_context": {"readonly": "true"}}
    await world.stage(volume_capability=capability(kind), publish_context=staged)
    with pytest.raises(errors.FailedPrecondition, match="read-only"):
        await world.publish(**wanted)
    assert await world.sim.mounter.mounts(world.target) == ()
    await world.publish(readonly=True, **wanted)
    (point,) = await world.sim.mounter.mounts(world.target)
    assert point.readonly


@pytest.mark.parametrize("kind", ["mount", "block"])
async def test_publish_as_what_it_was_not_staged_as_is_refused(world: World, kind: str) -> None:
    world.volume("iscsi")
    await world.stage(volume_capability=capability(kind))
    other = capability("block" if kind == "mount" else "mount")
    with pytest.raises(errors.FailedPrecondition, match="staged as"):
        await world.publish(volume_capability=other)


async def test_somebody_elses_mount_is_neither_covered_nor_taken_off(world: World) -> None:
    world.volume("nfs", "pvc-1")
    world.volume("nfs", "pvc-2")
    await world.stage("pvc-1")
    await world.publish("pvc-1")
    with pytest.raises(errors.FailedPrecondition, match="pvc-1 is mounted there"):
        await world.stage("pvc-2")
    await world.stage("pvc-2", staging_target_path=world.staging + "-2")
    with pytest.raises(errors.FailedPrecondition, match="pvc-1 is mounted there"):
        await world.publish("pvc-2", staging_target_path=world.staging + "-2")
    await world.unpublish("pvc-2")
    await world.unstage("pvc-2", world.staging)
    assert len(await world.sim.mounter.mounts(world.target)) == 1
    assert len(await world.sim.mounter.mounts(world.staging)) == 1
    assert len(await world.sim.mounter.mounts(world.staging + "-2")) == 1


async def test_a_mount_that_no_record_tells_of_is_left_alone_and_named(world: World) -> None:
    world.backend.export("other:/data", GIB)
    for path in (world.target, world.staging):
        await world.sim.mounter.make_dir(path)
        await world.sim.mounter.mount("other:/data", path, "nfs", ())
    with pytest.raises(errors.FailedPrecondition, match="other:/data"):
        await world.unpublish("pvc-1")
    with pytest.raises(errors.FailedPrecondition, match="other:/data"):
        await world.unstage("pvc-1")
    assert len(world.sim.mounter.all_mounts()) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_busy_volume_stays_mounted_and_the_caller_is_told_to_repeat(tmp_path: Path, protocol: str) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        world.volume(protocol)
        await world.stage()
        await world.publish()
        with world.sim.mounter.open(world.target + "/file"):
            with pytest.raises(errors.Aborted, match="EBUSY"):
                await world.unpublish()
            assert len(await world.sim.mounter.mounts(world.target)) == 1
            assert Path(world.target).is_dir()
        await world.unpublish()
        with world.sim.mounter.open(world.staging):
            with pytest.raises(errors.Aborted, match="EBUSY"):
                await world.unstage()
            assert len(await world.sim.mounter.mounts(world.staging)) == 1
        await world.unstage()
        assert await world.leaks() == []

    in_no_time(scenario())


def test_a_volume_that_is_busy_for_a_moment_is_unmounted_by_the_same_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        world.volume()
        await world.stage()
        await world.publish()

        async def workload() -> None:
            with world.sim.mounter.open(world.target):
                await asyncio.sleep(0.2)

        closing = asyncio.create_task(workload())
        await asyncio.sleep(0)
        await world.unpublish()
        await closing
        assert not Path(world.target).exists()

    in_no_time(scenario())


async def test_files_under_an_unmounted_target_are_left_alone_and_named(world: World) -> None:
    world.volume()
    await world.stage()
    await world.publish()
    data = Path(world.target) / "kept"
    data.write_text("data")
    with pytest.raises(errors.FailedPrecondition, match=r"pods/target: ENOTEMPTY.*left alone"):
        await world.unpublish()
    assert data.read_text() == "data"
    data.unlink()
    await world.unpublish()
    await world.unstage()
    assert await world.leaks() == []


async def test_a_file_with_content_in_the_place_of_a_block_target_is_kept(world: World) -> None:
    world.volume("iscsi")
    Path(world.target).parent.mkdir()
    Path(world.target).write_text("data")
    await world.stage(volume_capability=capability("block"))
    await world.publish(volume_capability=capability("block"))
    with pytest.raises(errors.FailedPrecondition, match="left alone"):
        await world.unpublish()
    assert Path(world.target).read_text() == "data"


async def test_a_failed_look_at_the_mount_table_is_not_a_no(world: World) -> None:
    world.volume()
    await world.stage()
    await world.publish()

    class Blind:
        def __init__(self, part: object) -> None:
            self._part = part

        def __getattr__(self, name: str) -> object:
            return self._fail if name == "mounts" else getattr(self._part, name)

        async def _fail(self, path: str) -> None:
            raise OSError(errno.EIO, "unreadable", path)

    world.restart(Blind)
    with pytest.raises(errors.Unavailable, match="EIO"):
        await world.unpublish()
    with pytest.raises(errors.Unavailable, match="EIO"):
        await world.unstage()
    assert Path(world.target).is_dir()


async def test_a_stale_nfs_mount_is_made_anew_by_the_repeat(world: World) -> None:
    world.volume()
    await world.stage()
    await world.publish()
    before = world.sim.mounter.all_mounts()
    remounted: list[str] = []
    real = world.backend.fs_stats

    async def stale_until_remounted(source: str):
        if len(remounted) == 0:
            raise OSError(errno.ESTALE, "stale", source)
        return await real(source)

    async def check_export(source: str, fs_type: str) -> None:
        remounted.append(source)

    world.backend.fs_stats = stale_until_remounted  # type: ignore[method-assign]
    world.backend.check_export = check_export  # type: ignore[method-assign]
    await world.publish()
    assert remounted == ["nas.example:/mnt/tank/csi/pvc-1"]
    assert sorted(world.sim.mounter.all_mounts(), key=str) == sorted(before, key=str)
    await world.stats(world.target)


async def test_a_target_that_leads_to_the_staging_path_is_refused(world: World) -> None:
    world.volume()
    await world.stage()
    alias = Path(world.directory) / "alias"
    alias.symlink_to(world.staging)
    with pytest.raises(errors.InvalidArgument, match="leads to the staging path"):
        await world.publish(target_path=str(alias))
    for path in (str(alias), world.staging):
        with pytest.raises(errors.FailedPrecondition, match="unstage it there"):
            await world.unpublish(target=path)
    assert len(await world.sim.mounter.mounts(world.staging)) == 1


async def test_a_published_volume_whose_record_was_lost_is_recovered_by_staging_again(world: World) -> None:
    world.volume("iscsi")
    await world.stage()
    await world.publish()
    await world.sim.files.remove("pvc-1")
    await world.stage()
    await world.publish()
    await world.sim.files.remove("pvc-1")
    await world.stage()
    await world.unpublish()
    await world.unstage()
    assert [each for each in await world.leaks() if each != f"path {world.staging}"] == []
