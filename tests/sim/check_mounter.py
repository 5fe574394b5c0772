# checks look at the real disk
"""What any `Mounter` must do, whatever is behind it: `CHECKS` take a bench that a maker made."""

import errno
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from csisim.host import Mounter
from csisim.sim.disk import Disk, RealDisk
from tests.sim.errnos import failing


@dataclass
class Bench:
    """A mounter with something to mount.

    Attributes:
        directory: an empty directory on the same host.
        export, second: two network file systems, as (source, fs_type).
        device: path of a block device that is there.
        busy: keeps what is mounted at a path busy.
        disk: of the same host.
    """

    mounter: Mounter
    directory: Path
    export: tuple[str, str]
    second: tuple[str, str]
    device: str
    busy: Callable[[str], AbstractContextManager[None]]
    disk: Disk = field(default_factory=RealDisk)

    def path(self, name: str) -> str:
        self.disk.make_dir(str(self.directory / name))
        return str(self.directory / name)

    async def refused(self, number: int, call: Awaitable[object]) -> None:
        with failing(number):
            await call

    async def sources(self, path: str) -> list[str]:
        return [point.source for point in await self.mounter.mounts(path)]


async def mounts_stack_and_come_off_topmost_first(bench: Bench) -> None:
    path = bench.path("a")
    for source, fs_type in (bench.export, bench.second):
        await bench.mounter.mount(source, path, fs_type, ())
    assert await bench.sources(path) == [bench.export[0], bench.second[0]]
    await bench.mounter.umount(path)
    assert await bench.sources(path) == [bench.export[0]]
    await bench.mounter.umount(path)
    assert await bench.sources(path) == []


async def umount_of_no_mount_point_is_refused(bench: Bench) -> None:
    await bench.refused(errno.EINVAL, bench.mounter.umount(bench.path("a")))
    await bench.refused(errno.ENOENT, bench.mounter.umount(str(bench.directory / "missing")))


async def the_same_file_system_is_not_mounted_over_itself(bench: Bench) -> None:
    path, (source, fs_type) = bench.path("a"), bench.export
    await bench.mounter.mount(source, path, fs_type, ())
    await bench.refused(errno.EBUSY, bench.mounter.mount(source, path, fs_type, ()))
    await bench.mounter.mount(source, bench.path("b"), fs_type, ())
    assert [point.path for point in await bench.mounter.mounts_of(source)] == [path, bench.path("b")]


async def mounting_needs_a_directory_and_a_source(bench: Bench) -> None:
    source, fs_type = bench.export
    file = str(bench.directory / "file")
    await bench.mounter.make_file(file)
    await bench.refused(errno.ENOTDIR, bench.mounter.mount(source, file, fs_type, ()))
    await bench.refused(errno.ENOENT, bench.mounter.mount(source, file + "-missing", fs_type, ()))
    await bench.refused(errno.ENOENT, bench.mounter.mount(source + "-missing", bench.path("a"), fs_type, ()))
    await bench.refused(errno.ENODEV, bench.mounter.mount(source, bench.path("a"), "nosuchfs", ()))
    assert await bench.sources(bench.path("a")) == []


async def access_is_kept_per_mount(bench: Bench) -> None:
    staging, target, path = bench.path("staging"), bench.path("target"), bench.path("again")
    source, fs_type = bench.export
    await bench.mounter.mount(source, staging, fs_type, ("noatime",))
    await bench.mounter.bind(staging, target, ("ro",))
    await bench.mounter.bind(target, path, ())
    assert [(await bench.mounter.mounts(each))[0].readonly for each in (staging, target, path)] == [False, True, True]
    assert [len(await bench.mounter.mounts(each)) for each in (staging, target, path)] == [1, 1, 1]
    await bench.refused(errno.EROFS, bench.mounter.make_dir(f"{target}/below"))
    assert (await bench.mounter.mounts(staging))[0].options == ("rw", "noatime")


async def a_bind_mount_outlives_what_it_was_bound_from(bench: Bench) -> None:
    staging, target = bench.path("staging"), bench.path("target")
    source, fs_type = bench.export
    await bench.mounter.mount(source, staging, fs_type, ())
    await bench.mounter.bind(staging, target, ())
    await bench.mounter.umount(staging)
    assert await bench.sources(target) == [source]
    assert [point.path for point in await bench.mounter.mounts_of(source)] == [target]


async def a_bind_needs_two_of_a_kind(bench: Bench) -> None:
    file, directory = str(bench.directory / "file"), bench.path("a")
    await bench.mounter.make_file(file)
    await bench.refused(errno.ENOTDIR, bench.mounter.bind(bench.device, directory, ()))
    await bench.refused(errno.ENOTDIR, bench.mounter.bind(directory, file, ()))
    await bench.refused(errno.ENOENT, bench.mounter.bind(directory + "-missing", directory, ()))
    await bench.refused(errno.ENOENT, bench.mounter.bind(directory, directory + "-missing", ()))
    await bench.mounter.bind(bench.device, file, ("ro",))
    (point,) = await bench.mounter.mounts(file)
    assert (point.source, point.fs_type, point.readonly) == (bench.device, "", True)


async def a_plain_directory_can_be_bound(bench: Bench) -> None:
    origin, target = bench.path("origin"), bench.path("target")
    await bench.mounter.bind(origin, target, ())
    assert await bench.sources(target) == [origin]


async def what_is_busy_stays_mounted(bench: Bench) -> None:
    path = bench.path("a")
    await bench.mounter.mount(bench.export[0], path, bench.export[1], ())
    with bench.busy(f"{path}/file"):
        await bench.refused(errno.EBUSY, bench.mounter.umount(path))
        assert await bench.sources(path) == [bench.export[0]]
    await bench.mounter.umount(path)


async def a_mount_below_keeps_its_parent_busy(bench: Bench) -> None:
    outer, inner = bench.path("a"), bench.path("a/b")
    await bench.mounter.mount(bench.export[0], outer, bench.export[1], ())
    await bench.mounter.mount(bench.second[0], inner, bench.second[1], ())
    await bench.refused(errno.EBUSY, bench.mounter.umount(outer))
    await bench.mounter.umount(inner)
    await bench.mounter.umount(outer)


async def a_mount_below_is_hidden_by_one_above(bench: Bench) -> None:
    outer, inner = bench.path("a"), bench.path("a/b")
    await bench.mounter.mount(bench.second[0], inner, bench.second[1], ())
    await bench.mounter.mount(bench.export[0], outer, bench.export[1], ())
    assert await bench.sources(inner) == []
    await bench.refused(errno.EINVAL, bench.mounter.umount(inner))
    await bench.mounter.umount(outer)
    assert await bench.sources(inner) == [bench.second[0]]


async def removing_takes_one_empty_path(bench: Bench) -> None:
    path = bench.path("a/b")
    await bench.refused(errno.ENOTEMPTY, bench.mounter.remove_path(bench.path("a")))
    await bench.mounter.mount(bench.export[0], path, bench.export[1], ())
    await bench.refused(errno.EBUSY, bench.mounter.remove_path(path))
    await bench.mounter.umount(path)
    await bench.mounter.remove_path(path)
    await bench.mounter.remove_path(path)
    assert not await bench.mounter.exists(path)
    assert await bench.mounter.exists(bench.path("a"))


async def a_file_with_content_is_not_removed(bench: Bench) -> None:
    file = str(bench.directory / "file")
    await bench.mounter.make_file(file)
    await bench.mounter.make_file(file)
    bench.disk.write(file, b"data")
    await bench.refused(errno.ENOTEMPTY, bench.mounter.remove_path(file))
    await bench.mounter.make_file(file)
    assert bench.disk.read(file) == b"data"


async def making_paths_makes_their_parents(bench: Bench) -> None:
    directory, file = str(bench.directory / "x/y"), str(bench.directory / "v/w")
    for _ in range(2):
        await bench.mounter.make_dir(directory)
        await bench.mounter.make_file(file)
    assert bench.disk.is_directory(directory)
    assert bench.disk.read(file) == b""
    await bench.refused(errno.EEXIST, bench.mounter.make_dir(file))
    await bench.refused(errno.EISDIR, bench.mounter.make_file(directory))
    await bench.refused(errno.ENOTDIR, bench.mounter.make_dir(f"{file}/below"))


async def links_are_followed_as_the_kernel_does(bench: Bench) -> None:
    if not isinstance(bench.disk, RealDisk):
        return  # no other has links
    real, link = bench.path("real"), bench.directory / "link"
    link.symlink_to(real)
    await bench.mounter.mount(bench.export[0], str(link), bench.export[1], ())
    assert await bench.sources(real) == await bench.sources(str(link)) == [bench.export[0]]
    await bench.refused(errno.EBUSY, bench.mounter.remove_path(real))
    await bench.mounter.umount(real)
    await bench.mounter.remove_path(str(link))
    assert Path(real).is_dir()
    assert not link.is_symlink()
    (bench.directory / "circle").symlink_to(bench.directory / "circle")
    await bench.refused(errno.ELOOP, bench.mounter.exists(str(bench.directory / "circle")))


async def paths_that_are_none_are_refused(bench: Bench) -> None:
    for path, number in (
        ("relative", errno.EINVAL),
        ("", errno.EINVAL),
        ("/a\0b", errno.EINVAL),
        ("/" + "a/" * 3000, errno.ENAMETOOLONG),
        (f"{bench.directory}/{'a' * 300}", errno.ENAMETOOLONG),
    ):
        await bench.refused(number, bench.mounter.make_dir(path))
        await bench.refused(number, bench.mounter.remove_path(path))


async def statfs_is_of_a_mount(bench: Bench) -> None:
    path = bench.path("a")
    await bench.refused(errno.EINVAL, bench.mounter.statfs(path))
    await bench.mounter.mount(bench.export[0], path, bench.export[1], ())
    stats = await bench.mounter.statfs(path)
    assert stats.total_bytes == stats.used_bytes + stats.available_bytes > 0
    assert stats.total_inodes == stats.used_inodes + stats.available_inodes > 0
    await bench.refused(errno.EOPNOTSUPP, bench.mounter.resize_fs(path))


CHECKS = [
    mounts_stack_and_come_off_topmost_first,
    umount_of_no_mount_point_is_refused,
    the_same_file_system_is_not_mounted_over_itself,
    mounting_needs_a_directory_and_a_source,
    access_is_kept_per_mount,
    a_bind_mount_outlives_what_it_was_bound_from,
    a_bind_needs_two_of_a_kind,
    a_plain_directory_can_be_bound,
    what_is_busy_stays_mounted,
    a_mount_below_keeps_its_parent_busy,
    a_mount_below_is_hidden_by_one_above,
    removing_takes_one_empty_path,
    a_file_with_content_is_not_removed,
    making_paths_makes_their_parents,
    links_are_followed_as_the_kernel_does,
    paths_that_are_none_are_refused,
    statfs_is_of_a_mount,
]
