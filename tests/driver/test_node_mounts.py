"""Mount steps that can be repeated, and that touch nothing of somebody else's."""

import errno
from pathlib import Path
from typing import Any, cast

import pytest

from csisim.driver import node_mounts as mounts
from csisim.errors import FailedPrecondition
from csisim.host import Mounter
from csisim.sim.backend import MemoryBackend
from csisim.sim.host import SimHost
from csisim.sim.mounts import SimMounter


@pytest.fixture
def mounter() -> SimMounter:
    backend = MemoryBackend()
    for source in ("nas:/ours", "nas:/theirs"):
        backend.export(source, 1 << 30)
    return SimHost(backend).mounter


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "here").mkdir()
    return str(tmp_path / "here")


async def mount(mounter: SimMounter, path: str, *names: str) -> None:
    for name in names:
        await mounter.mount(f"nas:/{name}", path, "nfs", ())


async def sources(mounter: SimMounter, path: str) -> list[str]:
    return [point.source.removeprefix("nas:/") for point in await mounter.mounts(path)]


async def test_a_stacked_volume_is_taken_off_completely(mounter: SimMounter, path: str) -> None:
    await mount(mounter, path, "ours")
    await mounter.bind(path, path, ())
    await mounter.bind(path, path, ())
    assert await sources(mounter, path) == ["ours", "ours", "ours"]
    await mounts.take_off(mounter, path, "nas:/ours")
    await mounts.take_off(mounter, path, "nas:/ours")
    assert await sources(mounter, path) == []


async def test_an_unmount_that_says_busy_and_was_done_is_done(mounter: SimMounter, path: str) -> None:
    class Forgetful:
        """Unmounts, and then says that it could not."""

        async def umount(self, target: str) -> None:
            await mounter.umount(target)
            raise OSError(errno.EBUSY, "busy", target)

        def __getattr__(self, name: str) -> Any:
            return getattr(mounter, name)

    await mount(mounter, path, "ours")

    await mounts.take_off(cast("Mounter", Forgetful()), path, "nas:/ours")

    assert await sources(mounter, path) == []


async def test_an_unmount_that_is_refused_as_it_is_asked_for_is_not_taken_for_done(
    mounter: SimMounter, path: str
) -> None:
    class Refusing:
        async def umount(self, target: str) -> None:
            raise OSError(errno.EINVAL, "invalid", target)

        def __getattr__(self, name: str) -> Any:
            return getattr(mounter, name)

    await mount(mounter, path, "ours")

    with pytest.raises(FailedPrecondition, match="EINVAL"):
        await mounts.take_off(cast("Mounter", Refusing()), path, "nas:/ours")

    assert await sources(mounter, path) == ["ours"]


async def test_a_mount_over_the_volume_is_named_and_left(mounter: SimMounter, path: str) -> None:
    await mount(mounter, path, "ours", "theirs")
    with pytest.raises(FailedPrecondition, match="nas:/theirs"):
        await mounts.take_off(mounter, path, "nas:/ours")
    assert await sources(mounter, path) == ["ours", "theirs"]


async def test_a_mount_under_the_volume_stays(mounter: SimMounter, path: str) -> None:
    await mount(mounter, path, "theirs", "ours")
    await mounts.take_off(mounter, path, "nas:/ours")
    assert await sources(mounter, path) == ["theirs"]
    with pytest.raises(FailedPrecondition, match="nas:/theirs"):
        await mounts.remove(mounter, path)


async def test_own_mount_is_the_topmost_or_refused(mounter: SimMounter, path: str) -> None:
    assert await mounts.own_mount(mounter, path, "nas:/ours") is None
    await mount(mounter, path, "ours")
    assert await mounts.own_mount(mounter, path, "nas:/ours") is not None
    assert await mounts.shows(mounter, path, "nas:/ours")
    await mount(mounter, path, "theirs")
    assert not await mounts.shows(mounter, path, "nas:/ours")
    for source in ("nas:/ours", ""):
        with pytest.raises(FailedPrecondition):
            await mounts.own_mount(mounter, path, source)


async def test_remove_never_goes_below_a_directory(mounter: SimMounter, path: str) -> None:
    (Path(path) / "kept").mkdir()
    with pytest.raises(FailedPrecondition, match=errno.errorcode[errno.ENOTEMPTY]):
        await mounts.remove(mounter, path)
    (Path(path) / "kept").rmdir()
    await mounts.remove(mounter, path)
    await mounts.remove(mounter, path)
