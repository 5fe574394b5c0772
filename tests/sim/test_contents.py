"""What pods find at their paths: on a server through the mounts, or on the host's own disk where nothing is mounted."""

import asyncio
import errno
from collections.abc import Awaitable, Callable

import pytest

from csisim.sim import slots
from csisim.sim.backend import Area, MemoryBackend
from csisim.sim.disk import MemoryDisk
from csisim.sim.host import SimHost
from tests.sim.errnos import failing

GIB = 1 << 30
ADDRESS = {"portal": "nas:3260", "iqn": "iqn.2005-10.org.freenas.ctl:v", "lun": "0"}
STAGING, TARGET = "/var/lib/kubelet/staging", "/var/lib/kubelet/target"


class Machine:
    """A host with one volume, not mounted yet."""

    def __init__(self, backend: MemoryBackend | None = None) -> None:
        self.backend = backend or MemoryBackend()
        self.backend.export("nas:/mnt/v", GIB)
        self.backend.offer("iscsi", ADDRESS, "zvol-v", GIB)
        self.host = SimHost(self.backend, disk=MemoryDisk())
        self.content, self.mounter = self.host.content, self.host.mounter
        for path in (STAGING, TARGET):
            self.host.disk.make_dir(path)

    async def nfs(self, *flags: str) -> "Machine":
        await self.mounter.mount("nas:/mnt/v", STAGING, "nfs", ())
        await self.mounter.bind(STAGING, TARGET, flags)
        return self

    async def ext4(self, *flags: str) -> "Machine":
        device = await self.host.devices.connect("iscsi", ADDRESS)
        if not await self.host.devices.format_of(device):
            await self.host.devices.make_fs(device, "ext4")
        await self.mounter.mount(device, STAGING, "ext4", ())
        await self.mounter.bind(STAGING, TARGET, flags)
        return self

    async def raw(self, *flags: str) -> "Machine":
        device = await self.host.devices.connect("iscsi", ADDRESS)
        self.host.disk.remove(TARGET)
        self.host.disk.make_file(TARGET)
        await self.mounter.bind(device, TARGET, flags)
        return self


KINDS: dict[str, Callable[..., Awaitable[Machine]]] = {
    "nfs": Machine.nfs,
    "ext4": Machine.ext4,
    "raw": Machine.raw,
}


@pytest.fixture(params=KINDS)
def mounted(request: pytest.FixtureRequest) -> Callable[..., Awaitable[Machine]]:
    return KINDS[request.param]


async def test_what_is_written_is_read_on_this_host_and_on_the_next(mounted) -> None:
    machine = await mounted(Machine())
    await machine.content.write(TARGET, "data", b"first")
    await machine.content.write(TARGET, "data", b"\0second")
    await machine.content.write(TARGET, "more", b"")
    await machine.content.remove(TARGET, "more")
    other = await mounted(Machine(machine.backend))
    for content in (machine.content, other.content):
        assert await content.read(TARGET, "data") == b"\0second"
        assert await content.read(TARGET, "more") is None
        assert await content.names(TARGET) == ["data"]
    assert machine.host.disk.listing(TARGET) == []  # nothing of it is on the host itself
    with failing(errno.ENOENT):
        await machine.content.remove(TARGET, "more")


async def test_staging_and_target_show_the_same_files_and_a_part_shows_its_own() -> None:
    machine = await Machine().nfs()
    await machine.content.write(STAGING, "sub/file", b"x")
    part = "/var/lib/kubelet/part"
    for path in (part, f"{STAGING}/sub"):
        machine.host.disk.make_dir(path)
    await machine.mounter.bind(f"{STAGING}/sub", part, ())
    assert await machine.content.names(TARGET) == ["sub/file"]
    assert await machine.content.names(part) == await machine.content.names(f"{TARGET}/sub") == ["file"]
    await machine.content.write(part, "file", b"y")
    assert await machine.content.read(f"{TARGET}/sub", "file") == b"y"


async def test_a_read_only_mount_refuses_writes_and_shows_the_files(mounted) -> None:
    machine = await mounted(Machine())
    await machine.content.write(TARGET, "data", b"x")
    machine = await mounted(Machine(machine.backend), "ro")
    with failing(errno.EROFS):
        await machine.content.write(TARGET, "data", b"y")
    with failing(errno.EROFS):
        await machine.content.remove(TARGET, "data")
    assert await machine.content.read(TARGET, "data") == b"x"


async def test_what_is_gone_or_away_ends_reads_and_writes_with_the_errno_of_its_kind(mounted) -> None:
    machine = await mounted(Machine())
    await machine.content.write(TARGET, "data", b"x")
    is_nfs = "nas:/mnt/v" in [point.source for point in machine.mounter.all_mounts()]

    async def all_fail(number: int) -> None:
        for call in (
            machine.content.read(TARGET, "data"),
            machine.content.write(TARGET, "data", b"y"),
            machine.content.names(TARGET),
            machine.content.remove(TARGET, "data"),
        ):
            with failing(number):
                await call

    machine.backend.outage = errno.ETIMEDOUT
    await all_fail(errno.ETIMEDOUT)
    machine.backend.outage = None
    assert await machine.content.read(TARGET, "data") == b"x"
    machine.backend.exports.clear()
    machine.backend.sizes.clear()
    await all_fail(errno.ESTALE if is_nfs else errno.EIO)


async def test_a_session_that_dies_is_an_io_error() -> None:
    machine = await Machine().ext4()
    machine.host.vanish(machine.host.connected()[0])
    with failing(errno.EIO):
        await machine.content.read(TARGET, "data")


async def test_where_nothing_is_mounted_files_stay_on_the_host_and_keep_their_directory() -> None:
    machine = Machine()
    await machine.content.write(TARGET, "data", b"lost")
    assert machine.host.disk.read(f"{TARGET}/data") == b"lost"
    with failing(errno.ENOTEMPTY):
        await machine.mounter.remove_path(TARGET)
    await machine.nfs()
    assert await machine.content.read(TARGET, "data") is None  # it is covered now
    await machine.mounter.umount(TARGET)
    assert (await machine.content.read(TARGET, "data"), await machine.content.names(TARGET)) == (b"lost", ["data"])
    await machine.content.remove(TARGET, "data")
    await machine.mounter.remove_path(TARGET)
    with failing(errno.ENOENT):
        await machine.content.write(TARGET, "data", b"x")


async def test_a_raw_device_that_is_not_there_leaves_its_bytes_in_the_file_of_its_path() -> None:
    machine = Machine()
    machine.host.disk.remove(TARGET)
    machine.host.disk.make_file(TARGET)
    await machine.content.write(TARGET, "0", b"lost")
    assert await machine.content.read(TARGET, "0") == b"lost"
    assert await machine.content.names(TARGET) == ["0"]
    with failing(errno.ENOTEMPTY):
        await machine.mounter.remove_path(TARGET)


async def test_a_bound_directory_of_the_host_is_written_where_it_is() -> None:
    machine = Machine()
    await machine.mounter.bind(STAGING, TARGET, ())
    await machine.content.write(TARGET, "data", b"x")
    assert machine.host.disk.read(f"{STAGING}/data") == b"x"


async def test_the_disk_of_a_host_survives_its_reboot_and_the_mounts_do_not() -> None:
    machine = await Machine().nfs()
    await machine.content.write(TARGET, "data", b"on the server")
    machine.host.reboot()
    await machine.content.write(TARGET, "data", b"on the host")
    assert machine.host.disk.read(f"{TARGET}/data") == b"on the host"
    await machine.nfs()
    assert await machine.content.read(TARGET, "data") == b"on the server"


async def test_a_clone_has_the_files_and_mkfs_makes_old_ones_unreachable() -> None:
    machine = await Machine().ext4()
    await machine.content.write(TARGET, "data", b"x")
    machine.backend.clone("zvol-v", "zvol-copy")
    for path in (TARGET, STAGING):
        await machine.mounter.umount(path)
    del machine.backend.superblocks["zvol-v"]  # somebody's wipefs
    await machine.ext4()
    assert await machine.content.names(TARGET) == []
    machine.backend.offer("iscsi", ADDRESS | {"lun": "1"}, "zvol-copy", GIB)
    copy = await machine.host.devices.connect("iscsi", ADDRESS | {"lun": "1"})
    machine.host.disk.make_dir("/copy")
    await machine.mounter.mount(copy, "/copy", "ext4", ())
    assert await machine.content.read("/copy", "data") == b"x"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("", errno.EINVAL), (".", errno.EINVAL), ("..", errno.EINVAL), ("a/../b", errno.EINVAL), ("/a", errno.EINVAL),
        ("a/", errno.EINVAL), ("a\0", errno.EINVAL), ("\ud800", errno.EILSEQ), ("é" * 128, errno.ENAMETOOLONG),
    ],
)  # fmt: skip
async def test_what_is_no_file_name_is_refused(name: str, number: int) -> None:
    machine = await Machine().nfs()
    for target in (TARGET, "/"):
        for call in (machine.content.write(target, name, b""), machine.content.read(target, name)):
            with failing(number):
                await call


async def test_a_device_too_small_for_the_table_is_an_error_and_no_empty_volume() -> None:
    machine = Machine()
    machine.backend.sizes["zvol-v"] = 1 << 16
    await machine.ext4()
    with failing(errno.EIO):
        await machine.content.names(TARGET)


async def test_two_hosts_that_make_files_at_once_take_different_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "SLOTS", 2)
    machine = await Machine().nfs()
    read = machine.backend.read

    async def slow(area: Area, offset: int, length: int) -> bytes:
        found = await read(area, offset, length)
        await asyncio.sleep(0)
        return found

    monkeypatch.setattr(machine.backend, "read", slow)
    other = await Machine(machine.backend).nfs()
    await asyncio.gather(machine.content.write(TARGET, "a", b"1"), other.content.write(TARGET, "b", b"2"))
    assert await machine.content.names(TARGET) == ["a", "b"]
