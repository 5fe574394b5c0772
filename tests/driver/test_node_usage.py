"""Stats and expansion."""

# tests look at the real disk

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from csisim import errors
from csisim.pb import csi_pb2 as pb
from tests.driver.node_world import GIB, PROTOCOLS, Mode, World, capability


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_stats_of_an_unreachable_server_are_unavailable(world: World) -> None:
    world.volume()
    await world.stage()
    world.backend.outage = errno.ETIMEDOUT
    with pytest.raises(errors.Unavailable, match="ETIMEDOUT"):
        await world.stats(world.staging)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_stats_and_expand_only_where_the_volume_is(world: World, protocol: str) -> None:
    world.volume(protocol)
    await world.stage()
    await world.publish()
    for path in ("some/path", world.target + "-2", "/", "/x\u00e9"):
        with pytest.raises(errors.NotFound):
            await world.stats(path)
        with pytest.raises(errors.NotFound):
            await world.expand(path)
    await world.stats(world.staging + "//")
    await world.unpublish()
    with pytest.raises(errors.NotFound):
        await world.stats(world.target)


@pytest.mark.parametrize("kind", ["mount", "block"])
@pytest.mark.parametrize("at", ["staging", "target"])
async def test_expand_takes_up_what_the_nas_gave(world: World, kind: str, at: str) -> None:
    world.volume("iscsi")
    await world.stage(volume_capability=capability(kind))
    await world.publish(volume_capability=capability(kind), readonly=True)
    path = getattr(world, at)
    with pytest.raises(errors.OutOfRange, match="expand the volume first"):
        await world.expand(path, 2 * GIB)
    world.backend.sizes["zvol-pvc-1"] = 2 * GIB
    assert await world.expand(path, 2 * GIB) == 2 * GIB
    assert await world.expand(path, GIB) == 2 * GIB
    assert (await world.stats(world.target)).usage[0].total == 2 * GIB
    with pytest.raises(errors.InvalidArgument, match="staged as"):
        await world.expand(path, volume_capability=capability("block" if kind == "mount" else "mount"))


async def test_expand_of_a_file_system_mounted_read_only_is_refused(world: World) -> None:
    world.volume("iscsi")
    await world.stage(volume_capability=capability(mode=Mode.SINGLE_NODE_READER_ONLY))
    with pytest.raises(errors.FailedPrecondition, match="EROFS"):
        await world.expand(world.staging)


async def test_expand_of_nfs_returns_what_the_export_shows(world: World) -> None:
    world.volume()
    await world.stage()
    world.backend.export("nas.example:/mnt/tank/csi/pvc-1", 3 * GIB)
    assert await world.expand(world.staging, 2 * GIB) == 3 * GIB


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_expand_beyond_what_the_nas_gave_or_below_what_is_there_is_out_of_range(
    world: World, protocol: str
) -> None:
    world.volume(protocol)
    await world.stage()
    with pytest.raises(errors.OutOfRange, match="expand the volume first"):
        await world.expand(world.staging, 2 * GIB)
    for limit_bytes in (1, GIB - 1):
        with pytest.raises(errors.OutOfRange, match="more than the limit"):
            await world.expand(world.staging, capacity_range=pb.CapacityRange(limit_bytes=limit_bytes))
    exact = pb.CapacityRange(required_bytes=GIB, limit_bytes=GIB)
    assert await world.expand(world.staging, capacity_range=exact) == GIB


async def test_a_device_above_the_limit_does_not_grow_its_file_system(world: World) -> None:
    world.volume("iscsi")
    await world.stage()
    world.backend.sizes["zvol-pvc-1"] = 3 * GIB
    with pytest.raises(errors.OutOfRange, match="more than the limit"):
        await world.expand(world.staging, capacity_range=pb.CapacityRange(required_bytes=2 * GIB, limit_bytes=2 * GIB))
    assert (await world.stats(world.staging)).usage[0].total == GIB


@pytest.mark.parametrize("times", [1, 1000])
async def test_a_file_system_that_is_being_resized_already_is_busy_and_no_reason_to_give_up(
    world: World, times: int
) -> None:
    world.volume("iscsi")
    await world.stage()
    world.backend.sizes["zvol-pvc-1"] = 2 * GIB
    left = times

    class Resizing:
        def __init__(self, part: Any) -> None:
            self.part = part

        async def resize_fs(self, path: str) -> int:
            nonlocal left
            left -= 1
            if left >= 0:
                raise OSError(errno.EBUSY, "busy", path)
            size_bytes: int = await self.part.resize_fs(path)
            return size_bytes

        def __getattr__(self, name: str) -> Any:
            return getattr(self.part, name)

    world.restart(Resizing)
    if times > 1:
        with pytest.raises(errors.Aborted, match="grow the file system"):
            await world.expand(world.staging, 2 * GIB)
        left = 0
    assert await world.expand(world.staging, 2 * GIB) == 2 * GIB
    assert (await world.stats(world.staging)).usage[0].total == 2 * GIB


async def test_a_record_that_cannot_be_read_does_not_mean_that_the_file_system_cannot_grow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.volume("iscsi")
    await world.stage()
    world.backend.sizes["zvol-pvc-1"] = 2 * GIB

    async def refuse(name: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), name)

    # Kubelet takes FAILED_PRECONDITION for that, and does not ask again before the volume is mounted anew.
    with monkeypatch.context() as patched:
        patched.setattr(world.sim.files, "read", refuse)
        with pytest.raises(errors.Unavailable, match="EROFS"):
            await world.expand(world.staging, 2 * GIB)
    assert await world.expand(world.staging, 2 * GIB) == 2 * GIB
