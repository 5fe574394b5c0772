"""What a driver may never do is noticed, and done or refused as the machine would."""

import errno

import pytest

from csisim.host import NodeHost
from csisim.sim.backend import MemoryBackend
from csisim.sim.host import SimHost
from csisim.sweep.watch import Watch

ADDRESS = {"portal": "nas:3260", "iqn": "iqn.2005-10.org.freenas.ctl:pvc-1", "lun": "0"}


@pytest.fixture
def sim():
    backend = MemoryBackend()
    backend.export("nas:/a", 1 << 30)
    backend.offer("iscsi", ADDRESS, "zvol-1", 1 << 30)
    return SimHost(backend)


@pytest.fixture
def watched(sim):
    watch = Watch()
    watch.hosts = {"node-1": sim}
    host = watch("node-1", NodeHost(sim.mounter, sim.devices, sim.files))
    return watch, host


async def test_removing_a_mount_point_or_what_has_one_below_is_noticed(watched, tmp_path):
    watch, host = watched
    (tmp_path / "pod" / "vol").mkdir(parents=True)
    path = str(tmp_path / "pod" / "vol")
    await host.mounter.mount("nas:/a", path, "nfs", ())

    with pytest.raises(OSError, match="busy") as caught:
        await host.mounter.remove_path(path)
    assert caught.value.errno == errno.EBUSY
    with pytest.raises(OSError, match="not empty"):
        await host.mounter.remove_path(str(tmp_path / "pod"))

    assert watch.findings == [
        f"{path} was to be removed while {path} is mounted",
        f"{tmp_path}/pod was to be removed while {path} is mounted",
    ]


async def test_removing_what_is_not_mounted_is_fine(watched, tmp_path):
    watch, host = watched
    (tmp_path / "a").mkdir()
    (tmp_path / "ab").mkdir()
    await host.mounter.mount("nas:/a", str(tmp_path / "ab"), "nfs", ())

    await host.mounter.remove_path(str(tmp_path / "a"))

    assert watch.findings == []
    assert not (tmp_path / "a").exists()


async def test_a_logout_below_a_mount_is_noticed(watched, tmp_path):
    watch, host = watched
    (tmp_path / "staging").mkdir()
    device = await host.devices.connect("iscsi", ADDRESS)
    await host.devices.make_fs(device, "ext4")
    await host.mounter.mount(device, str(tmp_path / "staging"), "ext4", ())

    with pytest.raises(OSError, match="busy"):
        await host.devices.disconnect("iscsi", ADDRESS)
    assert watch.findings == [f"the session of {device} was to end while {tmp_path}/staging is mounted"]

    await host.mounter.umount(str(tmp_path / "staging"))
    await host.devices.disconnect("iscsi", ADDRESS)
    assert len(watch.findings) == 1
