# tests look at the real disk
"""The simulated mounter: the contract of any mounter, and local file systems."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from csisim.sim.backend import MemoryBackend
from csisim.sim.disk import Disk, MemoryDisk
from csisim.sim.host import SimHost
from tests.sim.check_mounter import CHECKS, Bench
from tests.sim.errnos import failing

GIB = 1 << 30
ADDRESS = {"portal": "nas:3260", "iqn": "iqn.2005-10.org.freenas.ctl:v", "lun": "0"}
Maker = Callable[[Path], Awaitable[Bench]]


async def sim_bench(directory: Path, *, kernel_file: bool, latency_s: float, disk: Disk | None = None) -> Bench:
    backend = MemoryBackend()
    backend.export("nas:/one", GIB)
    backend.export("nas:/two", GIB)
    backend.offer("iscsi", ADDRESS, "zvol-v", GIB)
    kept = directory / "kernel.json" if kernel_file else None
    host = SimHost(backend, kernel_file=kept, latency_s=latency_s, disk=disk)
    device = await host.devices.connect("iscsi", ADDRESS)
    root = directory / "root"
    host.disk.make_dir(str(root))
    return Bench(host.mounter, root, ("nas:/one", "nfs"), ("nas:/two", "nfs"), device, host.mounter.open, host.disk)


MAKERS: dict[str, Maker] = {
    "in memory": lambda directory: sim_bench(directory, kernel_file=False, latency_s=0.0),
    "kept": lambda directory: sim_bench(directory, kernel_file=True, latency_s=0.0),
    "disk in memory": lambda directory: sim_bench(directory, kernel_file=False, latency_s=0.0, disk=MemoryDisk()),
    "slow": lambda directory: sim_bench(directory, kernel_file=False, latency_s=0.0001),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(make: Maker, check: Callable[[Bench], Awaitable[None]], tmp_path: Path) -> None:
    await check(await make(tmp_path))


class Local:
    """A host with one formatted device."""

    def __init__(self, directory: Path) -> None:
        self.backend = MemoryBackend()
        self.backend.offer("iscsi", ADDRESS, "zvol-v", GIB)
        self.host = SimHost(self.backend)
        self.path, self.other = str(directory / "a"), str(directory / "b")
        for each in (self.path, self.other):
            Path(each).mkdir()

    async def connect(self, fs_type: str = "ext4") -> str:
        device = await self.host.devices.connect("iscsi", ADDRESS)
        if fs_type:
            await self.host.devices.make_fs(device, fs_type)
        return device


async def test_a_device_is_mounted_only_as_what_is_on_it(tmp_path: Path) -> None:
    local = Local(tmp_path)
    device = await local.connect("")
    for fs_type in ("ext4", "xfs"):
        with failing(errno.EINVAL):
            await local.host.mounter.mount(device, local.path, fs_type, ())
        if not local.backend.superblocks:
            await local.host.devices.make_fs(device, "ext4")
    await local.host.mounter.mount(device, local.path, "ext4", ())
    with failing(errno.EBUSY):
        await local.host.mounter.mount(device, local.other, "ext4", ("ro",))
    await local.host.mounter.mount(device, local.other, "ext4", ())


async def test_a_file_system_grows_to_what_the_host_knows_of_its_device(tmp_path: Path) -> None:
    local = Local(tmp_path)
    device = await local.connect()
    await local.host.mounter.mount(device, local.path, "ext4", ())
    local.backend.sizes["zvol-v"] = 2 * GIB
    assert await local.host.mounter.resize_fs(local.path) == GIB
    await local.host.devices.rescan(device)
    assert (await local.host.mounter.statfs(local.path)).total_bytes == GIB
    assert await local.host.mounter.resize_fs(local.path) == 2 * GIB
    assert (await local.host.mounter.statfs(local.path)).total_bytes == 2 * GIB


async def test_a_read_only_file_system_does_not_grow(tmp_path: Path) -> None:
    local = Local(tmp_path)
    device = await local.connect()
    await local.host.mounter.mount(device, local.path, "ext4", ("ro",))
    with failing(errno.EROFS):
        await local.host.mounter.resize_fs(local.path)


async def test_a_file_system_whose_device_went_away_gives_io_errors(tmp_path: Path) -> None:
    local = Local(tmp_path)
    device = await local.connect()
    await local.host.mounter.mount(device, local.path, "ext4", ())
    local.host.devices.vanish(device)
    for call in (local.host.mounter.statfs, local.host.mounter.resize_fs):
        with failing(errno.EIO):
            await call(local.path)
    await local.host.mounter.umount(local.path)


async def test_two_xfs_with_one_id_are_mounted_together_only_with_nouuid(tmp_path: Path) -> None:
    local = Local(tmp_path)
    first = await local.connect("xfs")
    copy = ADDRESS | {"iqn": "iqn.2005-10.org.freenas.ctl:copy"}
    local.backend.offer("iscsi", copy, "zvol-copy", GIB)
    local.backend.clone("zvol-v", "zvol-copy")
    second = await local.host.devices.connect("iscsi", copy)
    await local.host.mounter.mount(first, local.path, "xfs", ())
    with failing(errno.EINVAL):
        await local.host.mounter.mount(second, local.other, "xfs", ())
    await local.host.mounter.mount(second, local.other, "xfs", ("nouuid",))


async def test_a_part_of_a_file_system_is_shown_with_the_path_inside_it(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.export("[fd00::1]:/one", GIB)
    mounter = SimHost(backend).mounter
    staging, target = tmp_path / "staging", tmp_path / "target"
    (staging / "sub").mkdir(parents=True)
    target.mkdir()
    await mounter.mount("[fd00::1]:/one", str(staging), "nfs", ())
    await mounter.bind(str(staging / "sub"), str(target), ())
    assert [point.source for point in await mounter.mounts(str(target))] == ["[fd00::1]:/one[/sub]"]
    assert (await mounter.statfs(str(target))).total_bytes == GIB


async def test_a_mount_that_is_cancelled_while_the_server_is_asked_leaves_nothing(tmp_path: Path) -> None:
    backend = MemoryBackend()
    mounter = SimHost(backend).mounter

    async def hangs(source: str, fs_type: str) -> None:
        await asyncio.Event().wait()

    backend.check_export = hangs  # type: ignore[method-assign]
    task = asyncio.create_task(mounter.mount("nas:/one", str(tmp_path), "nfs", ()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert mounter.all_mounts() == ()


@pytest.mark.parametrize("option", ["bind", "remount", "move", "ro,rbind"])
async def test_options_that_mean_another_call_are_refused(tmp_path: Path, option: str) -> None:
    backend = MemoryBackend()
    backend.export("nas:/one", GIB)
    with failing(errno.EINVAL):
        await SimHost(backend).mounter.mount("nas:/one", str(tmp_path), "nfs", (option,))


async def test_nothing_is_mounted_over_the_root_directory() -> None:
    backend = MemoryBackend()
    backend.export("nas:/one", GIB)
    mounter = SimHost(backend).mounter
    with failing(errno.EBUSY):
        await mounter.mount("nas:/one", "/", "nfs", ())
    assert mounter.all_mounts() == ()
