# tests look at the real disk
"""State files: atomic, durable, and never outside their directory."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from csisim.sim import files as files_module
from csisim.sim.files import DirectoryStateFiles, MemoryStateFiles, replace_file
from tests.sim.errnos import failing

NAMES = ["pvc-1", "..", ".", "", "a/b", "../../etc/passwd", "é\u202e", "%2F", "=x.record", "a\0b", "x" * 200]
MAKERS: list[Callable[[Path], DirectoryStateFiles | MemoryStateFiles]] = [
    lambda path: DirectoryStateFiles(path / "state"),
    lambda _: MemoryStateFiles(),
]


@pytest.mark.parametrize("make", MAKERS, ids=["directory", "memory"])
async def test_any_name_is_kept_apart_and_comes_back(tmp_path: Path, make) -> None:
    files = make(tmp_path)
    for number, name in enumerate(NAMES):
        assert await files.read(name) is None
        await files.write(name, b"first")
        await files.write(name, str(number).encode())
    assert await files.names() == tuple(sorted(NAMES))
    for number, name in enumerate(NAMES):
        assert await files.read(name) == str(number).encode()
        await files.remove(name)
        await files.remove(name)
        assert await files.read(name) is None
    assert await files.names() == ()


@pytest.mark.parametrize("make", MAKERS, ids=["directory", "memory"])
async def test_empty_content_is_refused_because_it_reads_as_no_record(tmp_path: Path, make) -> None:
    with failing(errno.EINVAL):
        await make(tmp_path).write("pvc-1", b"")


async def test_records_stay_in_their_directory_and_are_private(tmp_path: Path) -> None:
    files = DirectoryStateFiles(tmp_path / "deep" / "state")
    for name in NAMES:
        await files.write(name, b"x")
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent for path in found} == {tmp_path / "deep" / "state"}
    assert len(found) == len(NAMES)
    assert {path.stat().st_mode & 0o077 for path in found} == {0}


async def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    with failing(errno.ENAMETOOLONG):
        await DirectoryStateFiles(tmp_path).write("/" * 100, b"x")


async def test_an_empty_file_is_no_record_and_leftovers_are_no_names(tmp_path: Path) -> None:
    files = DirectoryStateFiles(tmp_path)
    await files.write("pvc-1", b"x")
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"")
    (tmp_path / f"{path.name}.new").write_bytes(b"half")
    (tmp_path / "unrelated").write_bytes(b"x")
    assert await files.read("pvc-1") is None
    assert await files.names() == ("pvc-1",)
    await files.write("pvc-1", b"whole")
    assert await files.read("pvc-1") == b"whole"
    assert not (tmp_path / f"{path.name}.new").exists()


async def test_a_record_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DirectoryStateFiles(tmp_path)
    await files.write("pvc-1", b"old")
    (path,) = tmp_path.iterdir()
    fstat, replaced = os.fstat, list[str]()

    def replace_first(descriptor: int) -> os.stat_result:
        if not replaced:
            replaced.append("once")
            replace_file(path, b"new", durable=False)
        return fstat(descriptor)

    monkeypatch.setattr(files_module.os, "fstat", replace_first)
    assert await files.read("pvc-1") == b"new"


async def test_a_record_removed_while_it_is_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = DirectoryStateFiles(tmp_path)
    await files.write("pvc-1", b"old")
    (path,) = tmp_path.iterdir()
    fstat = os.fstat

    def remove_first(descriptor: int) -> os.stat_result:
        path.unlink(missing_ok=True)
        return fstat(descriptor)

    monkeypatch.setattr(files_module.os, "fstat", remove_first)
    assert await files.read("pvc-1") is None


async def test_a_write_that_fails_leaves_the_old_record_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DirectoryStateFiles(tmp_path)
    await files.write("pvc-1", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files_module.os, "fsync", full)
    with failing(errno.ENOSPC):
        await files.write("pvc-1", b"new")
    assert await files.read("pvc-1") == b"old"
    assert len(list(tmp_path.iterdir())) == 1
