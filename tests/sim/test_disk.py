# tests look at the real disk
"""Paths of a host's disk: one contract for the real one and for the one in memory."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from csisim.sim.disk import Disk, MemoryDisk, RealDisk
from tests.sim.errnos import failing

CALLS: dict[str, Callable[[Disk, str], object]] = {
    "resolve": lambda disk, path: disk.resolve(path),
    "resolve_parent": lambda disk, path: disk.resolve_parent(path),
    "is_directory": lambda disk, path: disk.is_directory(path),
    "exists": lambda disk, path: disk.exists(path),
    "make_dir": lambda disk, path: disk.make_dir(path),
    "make_file": lambda disk, path: disk.make_file(path),
    "remove": lambda disk, path: disk.remove(path),
    "unlink": lambda disk, path: disk.unlink(path),
    "read": lambda disk, path: disk.read(path),
    "write": lambda disk, path: disk.write(path, b"x"),
    "listing": lambda disk, path: disk.listing(path),
}


@pytest.fixture(params=[RealDisk, MemoryDisk])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    made: Disk = request.param()
    made.make_dir(str(tmp_path))
    return made


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("a", errno.EINVAL),
        ("", errno.EINVAL),
        ("/\0", errno.EINVAL),
        ("/\ud800", errno.EILSEQ),
        ("/" + "é" * 2048, errno.ENAMETOOLONG),
    ],
)
def test_what_is_no_path_is_refused(disk: Disk, call: str, path: str, number: int) -> None:
    with failing(number):
        CALLS[call](disk, path)


def test_a_name_that_is_too_long_is_refused_where_it_is_looked_up(disk: Disk, tmp_path: Path) -> None:
    longest, longer = f"{tmp_path}/{'é' * 127}", f"{tmp_path}/{'é' * 128}"
    disk.make_dir(longest)
    for call in ("is_directory", "exists", "make_dir", "make_file", "remove", "unlink", "read", "write"):
        with failing(errno.ENAMETOOLONG):
            CALLS[call](disk, longer)
    assert disk.listing(str(tmp_path)) == [longest]
    with failing(errno.ENOENT):
        disk.is_directory(f"{tmp_path}/missing/{'a' * 256}")


def test_resolving_asks_for_nothing_to_be_there(disk: Disk, tmp_path: Path) -> None:
    assert disk.resolve(f"//{tmp_path}/./a//b/../c/") == f"{tmp_path}/a/c"
    assert disk.resolve("/..//../") == "/"
    assert disk.resolve_parent(f"{tmp_path}/a/../b/") == f"{tmp_path}/b"
    assert disk.resolve_parent("/top") == "/top"


def test_a_path_through_what_is_missing_or_a_file_leads_nowhere(disk: Disk, tmp_path: Path) -> None:
    file, nothing = f"{tmp_path}/file", f"{tmp_path}/nothing"
    disk.make_file(file)
    for base, number in ((file, errno.ENOTDIR), (nothing, errno.ENOENT)):
        for path in (f"{base}/below", f"{base}/../file"):
            assert not disk.exists(path)
            disk.remove(path)
            for call in ("is_directory", "read", "unlink"):
                with failing(number):
                    CALLS[call](disk, path)
        with failing(number):
            disk.write(f"{base}/below", b"x")
    assert disk.exists(file)
    assert disk.exists(f"{tmp_path}/../{tmp_path.name}/./file")


def test_directories_are_made_with_their_parents(disk: Disk, tmp_path: Path) -> None:
    for _ in range(2):
        disk.make_dir(f"{tmp_path}/a/b/c/")
    assert disk.is_directory(f"{tmp_path}/a/b/c")
    disk.make_file(f"{tmp_path}/a/file")
    with failing(errno.EEXIST):
        disk.make_dir(f"{tmp_path}/a/file")
    with failing(errno.ENOTDIR):
        disk.make_dir(f"{tmp_path}/a/file/below")
    disk.make_dir("/")


def test_a_file_is_made_empty_and_keeps_what_it_has(disk: Disk, tmp_path: Path) -> None:
    file = f"{tmp_path}/a/file"
    disk.make_file(file)
    assert disk.read(file) == b""
    assert not disk.is_directory(file)
    disk.write(file, b"content")
    disk.make_file(file)
    assert disk.read(file) == b"content"
    disk.write(file, b"")
    assert disk.read(file) == b""
    with failing(errno.EISDIR):
        disk.make_file(f"{tmp_path}/a")
    with failing(errno.EEXIST):  # its directory cannot be made
        disk.make_file(f"{file}/below")


def test_writing_makes_a_file_but_no_directory(disk: Disk, tmp_path: Path) -> None:
    disk.write(f"{tmp_path}/file", b"\0\xff")
    assert disk.read(f"{tmp_path}/file") == b"\0\xff"
    with failing(errno.ENOENT):
        disk.write(f"{tmp_path}/missing/file", b"")
    for call in ("read", "write", "unlink"):
        with failing(errno.EISDIR):
            CALLS[call](disk, str(tmp_path))
    with failing(errno.EISDIR):
        disk.write("/", b"")


def test_only_empty_things_are_removed(disk: Disk, tmp_path: Path) -> None:
    full, file = f"{tmp_path}/full", f"{tmp_path}/full/file"
    disk.make_dir(full)
    disk.write(file, b"data")
    for path in (full, file):
        with failing(errno.ENOTEMPTY):
            disk.remove(path)
    assert disk.read(file) == b"data"
    disk.write(file, b"")
    for path in (file, f"{full}/", full):
        disk.remove(path)
    assert disk.listing(str(tmp_path)) == []
    with failing(errno.EBUSY):
        disk.remove("/")


def test_a_file_is_unlinked_with_its_content(disk: Disk, tmp_path: Path) -> None:
    disk.write(f"{tmp_path}/file", b"data")
    disk.unlink(f"{tmp_path}/file")
    assert not disk.exists(f"{tmp_path}/file")


def test_all_that_is_below_is_listed_in_order(disk: Disk, tmp_path: Path) -> None:
    for name in ("b/z", "b/a", "a"):
        disk.make_file(f"{tmp_path}/{name}")
    disk.make_dir(f"{tmp_path}/c")
    assert disk.listing(f"{tmp_path}/") == [f"{tmp_path}/{name}" for name in ("a", "b", "b/a", "b/z", "c")]
    assert disk.listing(f"{tmp_path}/a") == disk.listing(f"{tmp_path}/x") == disk.listing(f"{tmp_path}/a/x") == []


def test_disks_in_memory_are_apart() -> None:
    one, other = MemoryDisk(), MemoryDisk()
    one.make_dir("/var/lib/kubelet")
    assert one.listing("/") == ["/var", "/var/lib", "/var/lib/kubelet"]
    assert other.listing("/") == []


def test_links_of_the_real_disk_are_resolved_and_the_last_one_only_where_asked(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "up").symlink_to(tmp_path)
    through = f"{tmp_path}/up/link/"
    assert RealDisk().resolve(through) == f"{tmp_path}/real"
    assert RealDisk().resolve_parent(through) == f"{tmp_path}/link"


def test_an_unreadable_answer_is_not_a_no(tmp_path: Path) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    for call in ("exists", "listing"):
        with failing(errno.ELOOP):
            CALLS[call](RealDisk(), str(circle))


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    RealDisk().remove(str(tmp_path / "link"))
    assert (tmp_path / "real").is_dir()
    assert not (tmp_path / "link").is_symlink()
