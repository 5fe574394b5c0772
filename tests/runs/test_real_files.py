"""Kubelet's directories and pods' files on this machine: nothing outside of ours, nothing where nothing is mounted."""

import errno
import os
from pathlib import Path

import pytest

from csisim.runs.real_files import RealFiles, RealPaths, _Device, mount_points
from csisim.sim.slots import SLOTS, TABLE_OFFSET, SlotTable

SHARED = "/dev/shm"  # noqa: S108 - a real mount that everybody may write to


@pytest.fixture
def paths(tmp_path):
    return RealPaths(str(tmp_path.resolve()))


def test_directories_and_files_are_made_found_and_removed(paths):
    top = paths.directory
    paths.make_dir(f"{top}/a/b")
    paths.make_file(f"{top}/a/c/f")
    assert paths.listing(top) == [f"{top}/a", f"{top}/a/b", f"{top}/a/c", f"{top}/a/c/f"]
    assert paths.is_directory(f"{top}/a/b")
    assert not paths.is_directory(f"{top}/a/c/f")
    paths.remove(f"{top}/a/b")
    paths.remove(f"{top}/a/b")
    paths.remove(f"{top}/a/c/f")
    assert not paths.exists(f"{top}/a/b")
    assert paths.exists(top)
    with pytest.raises(OSError, match="not empty"):
        paths.remove(f"{top}/a")
    assert paths.clear() == []
    assert not os.path.lexists(top)


def test_what_has_content_stays(paths):
    top = paths.directory
    paths.make_dir(f"{top}/a/b")
    Path(f"{top}/a/f").write_text("data")
    with pytest.raises(OSError, match="not empty"):
        paths.remove(f"{top}/a/f")
    assert paths.clear() == [f"{top}/a", f"{top}/a/f"]


@pytest.mark.parametrize("path", ["/etc", "{top}/../x", "{top}/a/./b", "{top}x/y", "a", "{top}/a\0b"])
def test_no_path_leads_out(paths, path):
    with pytest.raises(OSError, match="outside of") as caught:
        paths.make_dir(path.format(top=paths.directory))
    assert caught.value.errno == errno.EXDEV


def test_no_symbolic_link_is_followed(paths, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Path(f"{paths.directory}/link").symlink_to(elsewhere)
    for do in (paths.make_dir, paths.make_file):
        with pytest.raises(OSError, match=r"Not a directory|symbolic|File exists"):
            do(f"{paths.directory}/link/x")
    assert paths.exists(f"{paths.directory}/link")
    assert not list(elsewhere.iterdir())
    paths.remove(f"{paths.directory}/link")
    assert elsewhere.exists()


async def test_nothing_is_written_where_nothing_is_mounted(paths):
    files = RealFiles(paths)
    target, device = f"{paths.directory}/pod/mount", f"{paths.directory}/pod/device"
    paths.make_dir(target)
    paths.make_file(device)
    for path in (target, device):
        with pytest.raises(OSError, match="nothing is really mounted") as caught:
            await files.write(path, "f", b"data")
        assert caught.value.errno == errno.ENODEV
    assert (list(files.pretended), list(files.used)) == ([target, device], [])
    assert not list(Path(target).iterdir())


@pytest.mark.skipif(not os.path.ismount(SHARED), reason=f"{SHARED} is no mount here")
async def test_files_of_a_real_mount_are_written_and_read():
    assert SHARED in mount_points("/dev")
    files, name = RealFiles(RealPaths("/dev")), f"csisim-test-{os.getpid()}"
    try:
        await files.write(SHARED, name, b"old")
        await files.write(SHARED, name, b"new")
        assert await files.read(SHARED, name) == b"new"
        assert await files.read(SHARED, f"{name}-other") is None
        assert name in await files.names(SHARED)
        assert not list(Path(SHARED).glob(f".{name}*"))
    finally:
        Path(SHARED, name).unlink()
    assert list(files.used) == [SHARED]
    for bad in ("../x", "..", "a/b", ""):
        with pytest.raises(OSError, match="not the name of a file"):
            await files.write(SHARED, bad, b"")


async def test_a_device_has_slots(tmp_path):
    image = tmp_path / "device"
    image.touch()
    os.truncate(image, TABLE_OFFSET + SLOTS * 4096)
    descriptor = os.open(image, os.O_RDWR)
    try:
        table = SlotTable(_Device(descriptor), "device")
        await table.write("a.0", b"one")
        assert await SlotTable(_Device(descriptor), "device").read("a.0") == b"one"
        assert await table.names() == ["a.0"]
        with pytest.raises(OSError, match="ends too early"):
            await _Device(descriptor).read(TABLE_OFFSET + SLOTS * 4096, 1)
    finally:
        os.close(descriptor)
